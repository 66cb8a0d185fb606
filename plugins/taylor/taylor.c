// taylor: how much the loss would change without the weight, by its Taylor expansion; the element-wise importances of
// Ma, Fang and Wang 2023 (LLM-Pruner, arXiv 2305.11627, section 3.2).
//
//   first    S_ij = |W_ij * mean g_ij|                                 mean over sequences
//   second   S_ij = 1/2 W_ij^2 * mean g_ij^2                           the diagonal of the empirical Fisher matrix
//   mixed    S_ij = |W_ij * mean g_ij - 1/2 W_ij^2 * mean g_ij^2|
//
// g is the gradient of a sequence's mean cross-entropy. The published code sums these over coupled structures; here
// they are scores of weights. For `second` it leaves out the 1/2, which changes no order. In double, rounded once.

#include <math.h>
#include <string.h>

#include "espalier_plugin.h"
#include "gradients.h"
#include "rows.h"

enum order { ORDER_FIRST, ORDER_SECOND, ORDER_MIXED };

struct taylor_job {
  const espalier_matrix *matrix;
  enum order order;
};

static int32_t score_row(const void *context, int64_t row, float *scores) {
  const struct taylor_job *job = context;
  const espalier_matrix *matrix = job->matrix;
  const espalier_gradients *gradients = matrix->gradients;
  const double samples = (double)gradients->samples;
  for (int64_t j = 0; j < matrix->columns; j++) {
    const int64_t i = row * matrix->columns + j;
    const double weight = matrix->weights[i];
    const double first = weight * ((double)gradients->sum[i] / samples);
    const double second = 0.5 * weight * weight * ((double)gradients->sum_of_squares[i] / samples);
    scores[j] = (float)(job->order == ORDER_FIRST ? fabs(first) :
                        job->order == ORDER_SECOND ? second : fabs(first - second));
  }
  return ESPALIER_OK;
}

// parameters[0] is the order.
static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                     float *scores, espalier_message *message) {
  const int32_t status = check_gradients(matrix, matrix->gradients, "the model's loss", message);
  if (status != ESPALIER_OK) return status;
  const struct taylor_job job = {.matrix = matrix, .order = (enum order)parameters[0]};
  return score_rows(host, matrix, score_row, &job, scores, message);
}

static const char *const order_words[] = {"first", "second", "mixed"};

static const espalier_parameter order_choice = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_CHOICE,
  .name = "order",
  .summary = "first: |W * gradient|; second: 1/2 W^2 * squared gradient; mixed: their difference",
  .default_value = 0,
  .minimum = 0,
  .maximum = sizeof order_words / sizeof order_words[0] - 1,
  .choice_count = sizeof order_words / sizeof order_words[0],
  .choices = order_words,
};

static const espalier_parameter *const parameter_list[] = {&order_choice};

static const espalier_selector selector = {
  .struct_size = sizeof(espalier_selector),
  .statistics = ESPALIER_STATISTICS_GRADIENTS,
  .default_group = ESPALIER_GROUP_MATRIX,
  .parameter_count = sizeof parameter_list / sizeof parameter_list[0],
  .parameters = parameter_list,
  .score = score,
};

static const void *get_extension(const char *id) {
  return strcmp(id, ESPALIER_SELECTOR) == 0 ? &selector : NULL;
}

const espalier_plugin_descriptor espalier_plugin = {
  .struct_size = sizeof(espalier_plugin_descriptor),
  .abi_major = ESPALIER_ABI_MAJOR,
  .abi_minor = ESPALIER_ABI_MINOR,
  .id = "taylor",
  .version = "1.0.0",
  .summary = "Taylor expansion of the loss: |W * g|, 1/2 W^2 g^2, or both (Molchanov et al. 2017; Ma et al. 2023)",
  .vendor = "Espalier",
  .licence = "Apache-2.0",
  .url = "https://arxiv.org/abs/2305.11627",
  .get_extension = get_extension,
};
