// gblm: Wanda's score plus gradients of the whole model (Das, Ma and Shen 2023, Beyond Size: How Gradients Shape
// Pruning Decisions in Large Language Models, arXiv 2311.04902).
//
//   S_ij = |W_ij| * ||X_j||_2 + |W_ij| * G_ij      G_ij = sqrt(sum over sequences of (scale * g_ij)^2), scale 100
//
// ||X_j||_2 is Wanda's (a mean over sequences), G a sum over sequences, as in the published code: more sequences give
// gradients more say, and 128 is what it was tuned with. The paper's other norm, the sum of |g|, needs statistics that
// the plugin ABI does not have, so there is no choice of norm. In double from ||X_j||_2 on, rounded once; the published
// code stores G in fp16, where values beyond 65504 overflow and small ones lose bits.

#include <math.h>

#include "declare.h"
#include "gradients.h"
#include "rows.h"

enum { SCALE };

static int32_t score_row(const struct scoring *scoring, int64_t row, float *scores) {
  const espalier_matrix *matrix = scoring->matrix;
  const double scale = scoring->parameters[SCALE];
  for (int64_t j = 0; j < matrix->columns; j++) {
    const int64_t i = row * matrix->columns + j;
    const double gradient = scale * sqrt((double)matrix->gradients->sum_of_squares[i]);
    scores[j] = (float)(fabs((double)matrix->weights[i]) * ((double)scoring->norms[j] + gradient));
  }
  return ESPALIER_OK;
}

static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                     float *scores, espalier_message *message) {
  const int32_t status = check_gradients(matrix, message);
  if (status != ESPALIER_OK) return status;
  return score_rows_by_norms(host, matrix, parameters, score_row, scores, message);
}

static const espalier_parameter *const parameter_list[] = {
  [SCALE] = NUMBER("scale", 100, 0, 1e6, "What gradients are multiplied by: 100 as published, 0 is Wanda"),
};

SELECTOR_PLUGIN(
  "gblm", "GBLM: |W| * (||X|| + norm of the gradients of the model's loss) (Das et al. 2023)",
  "https://arxiv.org/abs/2311.04902",
  .statistics = ESPALIER_STATISTICS_MOMENTS | ESPALIER_STATISTICS_GRADIENTS, .default_group = ESPALIER_GROUP_ROW,
  PARAMETERS(parameter_list), .score = score);
