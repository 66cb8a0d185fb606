// snip: connection sensitivity (Lee, Ajanthan and Torr 2019, SNIP, arXiv 1810.02340, section 4.1).
//
//   S_ij = |W_ij * sum over sequences of g_ij|      g = gradient of the sequence's mean cross-entropy
//
// which is the derivative of the loss by a mask c_ij on the weight, at c = 1. The paper divides by the sum of all
// scores, which changes no order, and ranks the whole network together: the default group is global. It prunes before
// training; on a trained model first-order scores alone fall behind plain magnitude (see README.md).
//
// In double, rounded once.

#include <math.h>

#include "declare.h"
#include "gradients.h"
#include "rows.h"

static int32_t score_row(const struct scoring *scoring, int64_t row, float *scores) {
  const espalier_matrix *matrix = scoring->matrix;
  for (int64_t j = 0; j < matrix->columns; j++) {
    const int64_t i = row * matrix->columns + j;
    scores[j] = (float)fabs((double)matrix->weights[i] * (double)matrix->gradients->sum[i]);
  }
  return ESPALIER_OK;
}

static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                     float *scores, espalier_message *message) {
  (void)parameters;
  const int32_t status = check_gradients(matrix, message);
  if (status != ESPALIER_OK) return status;
  return score_rows(&(struct scoring){.host = host, .matrix = matrix}, score_row, scores, message);
}

SELECTOR_PLUGIN(
  "snip", "SNIP: sensitivity of the loss to the connection, |W * gradient| (Lee et al. 2019)",
  "https://arxiv.org/abs/1810.02340",
  .statistics = ESPALIER_STATISTICS_GRADIENTS, .default_group = ESPALIER_GROUP_GLOBAL, .score = score);
