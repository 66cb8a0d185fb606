// ria: relative importance and activations (Zhang et al. 2024, Plug-and-Play: An Efficient Post-training Pruning Method
// for Large Language Models, ICLR 2024).
//
//   S_ij = (|W_ij| / sum_k |W_kj| + |W_ij| / sum_k |W_ik|) * ||X_j||_2^e      e = exponent, 0.5 as published
//
// The first sum is over the column of the weight, the second over its row. ||X_j||_2 is Wanda's, rounded as there. Sums
// of magnitudes, quotients and the product are in double, rounded once; the published code works in the precision of
// the weights. A column or row of zeros has relative importance 0 here, and NaN there.

#include <math.h>

#include "columns.h"
#include "declare.h"
#include "rows.h"

enum { EXPONENT };

static double share(double part, double sum) { return sum == 0 ? 0 : part / sum; }

static int32_t score_row(const struct scoring *scoring, int64_t row, float *scores) {
  const int64_t columns = scoring->matrix->columns;
  const float *weights = scoring->matrix->weights + row * columns;
  const double *column_sums = scoring->more;
  double row_sum = 0;
  for (int64_t j = 0; j < columns; j++) row_sum += fabs((double)weights[j]);
  for (int64_t j = 0; j < columns; j++) {
    const double magnitude = fabs((double)weights[j]);
    const double relative = share(magnitude, column_sums[j]) + share(magnitude, row_sum);
    scores[j] = (float)(relative * (double)scoring->norms[j]);
  }
  return ESPALIER_OK;
}

static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                     float *scores, espalier_message *message) {
  float *powers = NULL;
  double *column_sums = NULL;
  int32_t status = make_norm_powers(matrix, parameters[EXPONENT], "check the dataset, or take a smaller exponent",
                                    &powers, message);
  if (status == ESPALIER_OK) status = make_column_sums(host, matrix, 0, &column_sums, message);
  if (status == ESPALIER_OK) {
    const struct scoring scoring = {.host = host, .matrix = matrix, .norms = powers, .more = column_sums};
    status = score_rows(&scoring, score_row, scores, message);
  }
  free(column_sums);
  free(powers);
  return status;
}

static const espalier_parameter *const parameter_list[] = {
  [EXPONENT] = NUMBER("exponent", 0.5, 0, 4,
                      "Exponent of the activation norm: 0.5 as published, 0 is relative importance alone"),
};

SELECTOR_PLUGIN(
  "ria", "RIA: magnitude relative to row and column, times the root of the norm of the input (Zhang et al. 2024)",
  "https://openreview.net/forum?id=Tr0lPx9woF",
  .statistics = ESPALIER_STATISTICS_MOMENTS, .default_group = ESPALIER_GROUP_MATRIX, PARAMETERS(parameter_list),
  .score = score);
