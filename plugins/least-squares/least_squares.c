// least-squares: the kept weights that keep the map's outputs best, exactly.
//
//   minimise (w - w') (G + d I) (w - w')^T for each row over w' with w'_P = 0        d = damping * mean(diag G)
//
// which is ||W X - W' X||^2 + d ||W - W'||^2: of all weights on the mask none has less. See least_squares.h, and
// conjugate.h for the way that begins where an earlier round ended.

#include <string.h>

#include "conjugate.h"
#include "espalier_plugin.h"
#include "fit_on_mask.h"

enum { DAMPING, STEPS, FINISH };
enum { FINISH_STEPS, FINISH_EXACT };

static int32_t compensate(const espalier_host *host, const espalier_matrix *matrix, const uint8_t *kept,
                          const espalier_budget *budget, const double *parameters, float *weights, float *bias,
                          espalier_message *message) {
  (void)bias;
  const int64_t steps = (int64_t)parameters[STEPS];
  const int in_rounds = budget != NULL && budget->round + budget->rounds_left > 0;
  const int is_last = budget == NULL || budget->rounds_left == 0;
  if (in_rounds && steps > 0 && !(is_last && (int)parameters[FINISH] == FINISH_EXACT)) {
    return conjugate_fit(host, matrix, kept, parameters[DAMPING], steps, weights, message);
  }
  return fit_on_mask(host, matrix, kept, parameters[DAMPING], 0, weights, message);
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

static const espalier_parameter steps = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_INTEGER,
  .name = "steps",
  .summary = "Where there are rounds: steps of conjugate gradients in each; 0 solves exactly",
  .default_value = 8,
  .minimum = 0,
  .maximum = 1000,
};

static const char *const finishes[] = {"steps", "exact"};

static const espalier_parameter finish = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_CHOICE,
  .name = "finish",
  .summary = "The last of several rounds: steps like those before, or exactly",
  .default_value = FINISH_STEPS,
  .minimum = 0,
  .maximum = FINISH_EXACT,
  .choice_count = sizeof finishes / sizeof finishes[0],
  .choices = finishes,
};

static const espalier_parameter *const parameter_list[] = {&damping, &steps, &finish};

static const espalier_compensator compensator = {
  .struct_size = sizeof(espalier_compensator),
  .statistics = ESPALIER_STATISTICS_GRAM,
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
  .id = "least-squares",
  .version = "1.0.0",
  .summary = "Exact least squares on the kept weights: the least output error that the mask allows",
  .vendor = "Espalier",
  .licence = "Apache-2.0",
  .get_extension = get_extension,
};
