// wanda-plus-plus: Wanda's score plus gradients of the block's output (Yang et al. 2025, Wanda++, arXiv 2503.04992,
// section 4.1, the regional gradient score).
//
//   S_ij = (alpha * G_ij + ||X_j||_2) * |W_ij|      G_ij = sqrt(mean over sequences of g_ij^2), alpha 100
//
// g is the gradient of ||f(X)||_2, the norm of the output of the tensor's transformer block for one sequence: one
// block's backward pass and not the model's. ||X_j||_2 is Wanda's. This is the score alone; the paper's second half,
// the regional optimisation of the kept weights, is a block compensator. In double from ||X_j||_2 on, rounded once.

#include <math.h>

#include "declare.h"
#include "gradients.h"
#include "rows.h"

enum { ALPHA };

static int32_t score_row(const struct scoring *scoring, int64_t row, float *scores) {
  const espalier_matrix *matrix = scoring->matrix;
  const espalier_gradients *gradients = matrix->regional_gradients;
  const double samples = (double)gradients->samples, alpha = scoring->parameters[ALPHA];
  for (int64_t j = 0; j < matrix->columns; j++) {
    const int64_t i = row * matrix->columns + j;
    const double gradient = sqrt((double)gradients->sum_of_squares[i] / samples);
    scores[j] = (float)((alpha * gradient + (double)scoring->norms[j]) * fabs((double)matrix->weights[i]));
  }
  return ESPALIER_OK;
}

static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                     float *scores, espalier_message *message) {
  const int32_t status = check_gradients_of(matrix, matrix->regional_gradients, "its block's output", message);
  if (status != ESPALIER_OK) return status;
  return score_rows_by_norms(host, matrix, parameters, score_row, scores, message);
}

static const espalier_parameter *const parameter_list[] = {
  [ALPHA] = NUMBER("alpha", 100, 0, 1e6, "Weight of the regional gradients: 100 as published, 0 is Wanda"),
};

SELECTOR_PLUGIN(
  "wanda-plus-plus", "Wanda++: |W| * (alpha * regional gradient + ||X||) (Yang et al. 2025)",
  "https://arxiv.org/abs/2503.04992",
  .statistics = ESPALIER_STATISTICS_MOMENTS | ESPALIER_STATISTICS_REGIONAL_GRADIENTS,
  .default_group = ESPALIER_GROUP_ROW, PARAMETERS(parameter_list), .score = score);
