// least-squares-dense: the kept weights whose outputs come nearest to those of the model before pruning.
//
//   minimise ||W Z - W' X||^2 + d ||W - W'||^2 over W' on the mask        d = damping * mean(diag G)
//
// Z are the inputs before anything was pruned, X those of now: errors of earlier layers are made good too. The normal
// equations are W' (G + d I) = W C + d W on the support, with C = sum z x^T. See fit_on_mask.h and least_squares.h.

#include <string.h>

#include "espalier_plugin.h"
#include "fit_on_mask.h"

static int32_t compensate(const espalier_host *host, const espalier_matrix *matrix, const uint8_t *kept,
                          const espalier_budget *budget, const double *parameters, float *weights, float *bias,
                          espalier_message *message) {
  (void)budget, (void)bias;
  return fit_on_mask(host, matrix, kept, parameters[0], 1, weights, message);
}

static const espalier_parameter damping = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_NUMBER,
  .name = "damping",
  .summary = "Pull towards the dense weights, as a fraction of the mean diagonal of the Gram matrix",
  .default_value = 0.01,
  .minimum = 0,
  .maximum = 10,
};

static const espalier_parameter *const parameter_list[] = {&damping};

static const espalier_compensator compensator = {
  .struct_size = sizeof(espalier_compensator),
  .statistics = ESPALIER_STATISTICS_GRAM | ESPALIER_STATISTICS_CROSS_GRAM,
  .parameter_count = sizeof parameter_list / sizeof parameter_list[0],
  .parameters = parameter_list,
  .compensate = compensate,
};

static const void *get_extension(const char *id) {
  return strcmp(id, ESPALIER_COMPENSATOR) == 0 ? &compensator : NULL;
}

const espalier_plugin_descriptor espalier_plugin = {
  .struct_size = sizeof(espalier_plugin_descriptor),
  .abi_major = ESPALIER_ABI_MAJOR,
  .abi_minor = ESPALIER_ABI_MINOR,
  .id = "least-squares-dense",
  .version = "1.0.0",
  .summary = "Least squares on the kept weights towards the outputs of the unpruned model",
  .vendor = "Espalier",
  .licence = "Apache-2.0",
  .get_extension = get_extension,
};
