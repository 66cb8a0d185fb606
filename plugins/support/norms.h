// norms.h: the activation norms of Wanda's published code.

#ifndef ESPALIER_SUPPORT_NORMS_H
#define ESPALIER_SUPPORT_NORMS_H

#include <stdlib.h>

#include "moments.h"

// powers[j] = n_j^exponent, where n_j = ||X_j||_2 = sqrt(s_j) and s_j is the mean over sequences of the sum over a
// sequence's tokens of x_j^2, as in the code of Sun et al. 2023 (arXiv 2306.11695). s_j and its root are rounded to
// fp32 as there; for exponents other than 1 the power is taken in double and rounded once. `advice` ends the message of
// ESPALIER_INVALID_ARGUMENT, for a sum of squares or a power that fp32 cannot hold: an infinite factor would turn
// weights that are 0 into NaN. Calls check_moments first.
static inline int32_t compute_norm_powers(const espalier_matrix *matrix, double exponent, const char *advice,
                                          float *powers, espalier_message *message) {
  const int32_t status = check_moments(matrix, message);
  if (status != ESPALIER_OK) return status;
  const espalier_moments *moments = matrix->moments;
  for (int64_t j = 0; j < matrix->columns; j++) {
    const double squares = moments->sum_of_squares[j];
    const float norm = sqrtf((float)(squares / (double)moments->sequences));
    powers[j] = exponent == 1 ? norm : (float)pow((double)norm, exponent);
    if (!(squares >= 0) || !isfinite(squares) || !isfinite(powers[j])) {
      return refuse(message,
                    "input %lld of %s has the sum of squares %g, whose norm to the power %g is not a number that fp32 "
                    "holds; %s",
                    (long long)j, matrix->tensor, squares, exponent, advice);
    }
  }
  return ESPALIER_OK;
}

// The same in memory of its own, [columns], which the caller frees; NULL unless the status is ESPALIER_OK.
static inline int32_t make_norm_powers(const espalier_matrix *matrix, double exponent, const char *advice,
                                       float **powers, espalier_message *message) {
  *powers = calloc((size_t)matrix->columns, sizeof **powers);
  if (*powers == NULL) {
    return espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for one number per input of the matrix");
  }
  const int32_t status = compute_norm_powers(matrix, exponent, advice, *powers, message);
  if (status == ESPALIER_OK) return status;
  free(*powers);
  *powers = NULL;
  return status;
}

// The norms themselves.
static inline int32_t make_norms(const espalier_matrix *matrix, float **norms, espalier_message *message) {
  return make_norm_powers(matrix, 1, "check the dataset", norms, message);
}

#endif
