// moments.h: checked moments of a matrix's inputs, and their variance.

#ifndef ESPALIER_SUPPORT_MOMENTS_H
#define ESPALIER_SUPPORT_MOMENTS_H

#include <math.h>

#include "report.h"

// Fails with ESPALIER_INVALID_ARGUMENT unless the moments are there and fit the matrix.
static inline int32_t check_moments(const espalier_matrix *matrix, espalier_message *message) {
  const espalier_moments *moments = matrix->moments;
  if (moments == NULL) {
    return refuse(message, "%s comes without moments of its inputs; give a calibration dataset", matrix->tensor);
  }
  if (moments->count != matrix->columns) {
    return refuse(message, "%s has %lld columns but moments of %lld inputs", matrix->tensor,
                  (long long)matrix->columns, (long long)moments->count);
  }
  if (moments->sequences < 1 || moments->tokens < moments->sequences) {
    return refuse(message,
                  "the moments for %s cover %lld sequences and %lld tokens; at least 1 sequence is needed, and 1 token "
                  "in each",
                  matrix->tensor, (long long)moments->sequences, (long long)moments->tokens);
  }
  return ESPALIER_OK;
}

// Fails likewise unless the sums of the inputs, from which their means come, are finite. To be called after it.
static inline int32_t check_moment_sums(const espalier_matrix *matrix, espalier_message *message) {
  for (int64_t j = 0; j < matrix->columns; j++) {
    if (isfinite(matrix->moments->sum[j])) continue;
    return refuse(message, "input %lld of %s has the sum %g; check the dataset", (long long)j, matrix->tensor,
                  matrix->moments->sum[j]);
  }
  return ESPALIER_OK;
}

// Variance of input j over all tokens. Rounding can leave a little less than nothing.
static inline double input_variance(const espalier_moments *moments, int64_t j) {
  const double mean = moments->sum[j] / (double)moments->tokens;
  const double variance = moments->sum_of_squares[j] / (double)moments->tokens - mean * mean;
  return variance < 0 ? 0 : variance;
}

#endif
