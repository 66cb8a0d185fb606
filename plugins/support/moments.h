// moments.h: checked moments of a matrix's inputs, and the activation norms of Wanda's published code.
// Shared by bundled plugins; a plugin of your own needs only espalier_plugin.h. Keeps no state.

#ifndef ESPALIER_SUPPORT_MOMENTS_H
#define ESPALIER_SUPPORT_MOMENTS_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "espalier_plugin.h"

// Fails with ESPALIER_INVALID_ARGUMENT unless the moments are there and fit the matrix.
static inline int32_t check_moments(const espalier_matrix *matrix, espalier_message *message) {
  const espalier_moments *moments = matrix->moments;
  if (moments == NULL) {
    snprintf(message->text, message->capacity,
             "%s comes without moments of its inputs; give a calibration dataset", matrix->tensor);
    return ESPALIER_INVALID_ARGUMENT;
  }
  if (moments->count != matrix->columns) {
    snprintf(message->text, message->capacity, "%s has %lld columns but moments of %lld inputs", matrix->tensor,
             (long long)matrix->columns, (long long)moments->count);
    return ESPALIER_INVALID_ARGUMENT;
  }
  if (moments->sequences < 1 || moments->tokens < moments->sequences) {
    snprintf(message->text, message->capacity,
             "the moments for %s cover %lld sequences and %lld tokens; at least 1 sequence is needed, and 1 token in "
             "each",
             matrix->tensor, (long long)moments->sequences, (long long)moments->tokens);
    return ESPALIER_INVALID_ARGUMENT;
  }
  return ESPALIER_OK;
}

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
      snprintf(message->text, message->capacity,
               "input %lld of %s has the sum of squares %g, whose norm to the power %g is not a number that fp32 "
               "holds; %s",
               (long long)j, matrix->tensor, squares, exponent, advice);
      return ESPALIER_INVALID_ARGUMENT;
    }
  }
  return ESPALIER_OK;
}

// The same in memory of its own, which the caller frees. NULL if `*status` is not ESPALIER_OK.
static inline float *make_norm_powers(const espalier_matrix *matrix, double exponent, const char *advice,
                                      int32_t *status, espalier_message *message) {
  float *powers = calloc((size_t)matrix->columns, sizeof *powers);
  if (powers == NULL) {
    *status =
      espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for one number per input of the matrix");
    return NULL;
  }
  *status = compute_norm_powers(matrix, exponent, advice, powers, message);
  if (*status == ESPALIER_OK) return powers;
  free(powers);
  return NULL;
}

#endif  // ESPALIER_SUPPORT_MOMENTS_H
