// wanda: pruning by weights and activations (Sun et al. 2023, arXiv 2306.11695, equation 1).
//
//   S_ij = |W_ij| * n_j^e      n_j = ||X_j||_2 = sqrt(s_j)      e = normExponent, 1 as published
//
// where s_j is the mean over calibration sequences of the sum over a sequence's tokens of x_j^2: what the paper's own
// code accumulates. (Any positive factor common to all j leaves the order within a group as it is, so the mean over
// tokens would give the same masks.) Scores compete within each output row, the default group. e = 0 is magnitude.
//
// Rounding follows the paper's code, which works in fp32 from s_j on: s_j is rounded to fp32, then its root, then the
// product. One rounding at the end would be more exact, but near-ties would then fall the other way now and then, and
// masks would differ from published ones for nothing. The sums themselves arrive in double. For e other than 1 the
// power is taken in double and rounded once.

#include <math.h>

#include "declare.h"
#include "rows.h"

enum { NORM_EXPONENT };

static int32_t score_row(const struct scoring *scoring, int64_t row, float *restrict scores) {
  const int64_t columns = scoring->matrix->columns;
  const float *restrict weights = scoring->matrix->weights + row * columns;
  const float *restrict powers = scoring->norms;
  for (int64_t j = 0; j < columns; j++) scores[j] = fabsf(weights[j]) * powers[j];
  return ESPALIER_OK;
}

static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                     float *scores, espalier_message *message) {
  float *powers;
  int32_t status = make_norm_powers(matrix, parameters[NORM_EXPONENT],
                                    "check the dataset, or take a smaller normExponent", &powers, message);
  if (status != ESPALIER_OK) return status;
  const struct scoring scoring = {.host = host, .matrix = matrix, .norms = powers};
  status = write_rows(&scoring, score_row, scores, message);
  free(powers);
  return status;
}

static const espalier_parameter *const parameter_list[] = {
  [NORM_EXPONENT] = NUMBER("normExponent", 1, 0, 4,
                           "Exponent of the activation norm: 1 as published, 0 ignores activations"),
};

SELECTOR_PLUGIN(
  "wanda", "Wanda: magnitude of the weight times the norm of its input, |W| * ||X|| (Sun et al. 2023)",
  "https://arxiv.org/abs/2306.11695",
  .statistics = ESPALIER_STATISTICS_MOMENTS, .default_group = ESPALIER_GROUP_ROW, PARAMETERS(parameter_list),
  .score = score);
