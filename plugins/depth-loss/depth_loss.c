// depth-loss: layers by what the model loses without them, the perplexity criterion of depth pruning (Kim et al. 2024,
// Shortened LLaMA, arXiv 2402.02834; Muralidharan et al. 2024, Minitron, arXiv 2407.14679, section 2.2).
//
//   S_l = loss without layer l - loss      in nats
//
// Negative if the model does better without. The papers rank by perplexity, which is monotone in the loss. The host
// measures the losses: one evaluation for each layer. In double.

#include "declare.h"
#include "units.h"

static int32_t score(const espalier_host *host, const espalier_units *units, const double *parameters,
                     double *scores, espalier_message *message) {
  (void)host, (void)parameters;
  int32_t status = check_units(units, ESPALIER_UNIT_LAYER, "layers", message);
  if (status != ESPALIER_OK) return status;
  if (units->losses_without == NULL) {
    return refuse(message,
                  "the %lld layers come without losses of the model without each; give a calibration dataset",
                  (long long)units->count);
  }
  for (int64_t l = 0; l < units->count && status == ESPALIER_OK; l++) {
    status = set_unit_score(units, l, units->losses_without[l] - units->loss, "the losses and the dataset", scores,
                            message);
  }
  return status;
}

UNIT_SELECTOR_PLUGIN(
  "depth-loss", "Depth pruning by loss: loss without the layer minus loss (Kim et al. 2024)",
  "https://arxiv.org/abs/2402.02834",
  .statistics = ESPALIER_STATISTICS_NONE, .units = ESPALIER_UNIT_LAYER, .needs_losses = 1,
  .default_group = ESPALIER_GROUP_GLOBAL, .score = score);
