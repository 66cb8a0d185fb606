// block-influence: layers by how much they turn the hidden state (Men et al. 2024, ShortGPT, arXiv 2403.03853,
// equation 1).
//
//   S_l = 1 - mean over tokens of cos(x_l, x_{l+1})      x_l enters layer l, x_{l+1} leaves it
//
// A layer that does nothing scores 0, one that turns every state around 2. In double.

#include <math.h>

#include "declare.h"
#include "units.h"

static int32_t score(const espalier_host *host, const espalier_units *units, const double *parameters,
                     double *scores, espalier_message *message) {
  (void)host, (void)parameters;
  const int32_t status = check_units(units, ESPALIER_UNIT_LAYER, "layers", message);
  if (status != ESPALIER_OK) return status;
  if (units->cosine_sums == NULL || units->tokens < 1) {
    return refuse(message,
                  "the %lld layers come without cosines of their hidden states (%lld tokens); give a calibration "
                  "dataset",
                  (long long)units->count, (long long)units->tokens);
  }
  for (int64_t l = 0; l < units->count; l++) {
    const double cosine = units->cosine_sums[l] / (double)units->tokens;
    // Cosines in fp32 may be off by a few units in the last place.
    if (!(fabs(cosine) <= 1 + 1e-5)) {
      return refuse(message,
                    "the cosines of layer %lld sum to %g over %lld tokens, which is no sum of cosines; check the "
                    "dataset",
                    (long long)l, units->cosine_sums[l], (long long)units->tokens);
    }
    scores[l] = 1 - cosine;
  }
  return ESPALIER_OK;
}

UNIT_SELECTOR_PLUGIN(
  "block-influence", "Block influence of layers: 1 - cosine of what enters and what leaves (ShortGPT: Men et al. 2024)",
  "https://arxiv.org/abs/2403.03853",
  .statistics = ESPALIER_STATISTICS_NONE, .units = ESPALIER_UNIT_LAYER, .default_group = ESPALIER_GROUP_GLOBAL,
  .score = score);
