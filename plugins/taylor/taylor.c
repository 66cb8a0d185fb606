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

#include "declare.h"
#include "gradients.h"
#include "rows.h"

enum { ORDER };
enum { FIRST, SECOND, MIXED };

static int32_t score_row(const struct scoring *scoring, int64_t row, float *scores) {
  const espalier_matrix *matrix = scoring->matrix;
  const int order = (int)scoring->parameters[ORDER];
  const espalier_gradients *gradients = matrix->gradients;
  const double samples = (double)gradients->samples;
  for (int64_t j = 0; j < matrix->columns; j++) {
    const int64_t i = row * matrix->columns + j;
    const double weight = matrix->weights[i];
    const double first = weight * ((double)gradients->sum[i] / samples);
    const double second = 0.5 * weight * weight * ((double)gradients->sum_of_squares[i] / samples);
    scores[j] = (float)(order == FIRST ? fabs(first) : order == SECOND ? second : fabs(first - second));
  }
  return ESPALIER_OK;
}

static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                     float *scores, espalier_message *message) {
  const int32_t status = check_gradients(matrix, message);
  if (status != ESPALIER_OK) return status;
  const struct scoring scoring = {.host = host, .matrix = matrix, .parameters = parameters};
  return score_rows(&scoring, score_row, scores, message);
}

static const espalier_parameter *const parameter_list[] = {
  [ORDER] = CHOICE("order", FIRST,
                   "first: |W * gradient|; second: 1/2 W^2 * squared gradient; mixed: their difference",
                   "first", "second", "mixed"),
};

SELECTOR_PLUGIN(
  "taylor", "Taylor expansion of the loss: |W * g|, 1/2 W^2 g^2, or both (Molchanov et al. 2017; Ma et al. 2023)",
  "https://arxiv.org/abs/2305.11627",
  .statistics = ESPALIER_STATISTICS_GRADIENTS, .default_group = ESPALIER_GROUP_MATRIX, PARAMETERS(parameter_list),
  .score = score);
