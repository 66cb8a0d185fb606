// depth-loss: layers by what the model loses without them, the perplexity criterion of depth pruning (Kim et al. 2024,
// Shortened LLaMA, arXiv 2402.02834; Muralidharan et al. 2024, Minitron, arXiv 2407.14679, section 2.2).
//
//   S_l = loss without layer l - loss      in nats
//
// Negative if the model does better without. The papers rank by perplexity, which is monotone in the loss. The host
// measures the losses: one evaluation for each layer. In double.

#include <math.h>
#include <string.h>

#include "espalier_plugin.h"
#include "units.h"

static int32_t score(const espalier_host *host, const espalier_units *units, const double *parameters,
                     double *scores, espalier_message *message) {
  (void)host, (void)parameters;
  int32_t status = check_units(units, ESPALIER_UNIT_LAYER, "layers", message);
  if (status != ESPALIER_OK) return status;
  if (units->losses_without == NULL) {
    snprintf(message->text, message->capacity,
             "the %lld layers come without losses of the model without each; give a calibration dataset",
             (long long)units->count);
    return ESPALIER_INVALID_ARGUMENT;
  }
  for (int64_t l = 0; l < units->count && status == ESPALIER_OK; l++) {
    status = set_unit_score(units, l, units->losses_without[l] - units->loss, "the losses and the dataset", scores,
                            message);
  }
  return status;
}

static const espalier_unit_selector selector = {
  .struct_size = sizeof(espalier_unit_selector),
  .statistics = ESPALIER_STATISTICS_NONE,
  .units = ESPALIER_UNIT_LAYER,
  .needs_losses = 1,
  .default_group = ESPALIER_GROUP_GLOBAL,
  .score = score,
};

static const void *get_extension(const char *id) {
  return strcmp(id, ESPALIER_UNIT_SELECTOR) == 0 ? &selector : NULL;
}

const espalier_plugin_descriptor espalier_plugin = {
  .struct_size = sizeof(espalier_plugin_descriptor),
  .abi_major = ESPALIER_ABI_MAJOR,
  .abi_minor = ESPALIER_ABI_MINOR,
  .id = "depth-loss",
  .version = "1.0.0",
  .summary = "Depth pruning by loss: loss without the layer minus loss (Kim et al. 2024)",
  .vendor = "Espalier",
  .licence = "Apache-2.0",
  .url = "https://arxiv.org/abs/2402.02834",
  .get_extension = get_extension,
};
