// gram.h: the Gram matrix of a linear map's inputs, checked before a method trusts it, and its unit of damping.

#ifndef ESPALIER_SUPPORT_GRAM_H
#define ESPALIER_SUPPORT_GRAM_H

#include "algebra.h"

// Fails with ESPALIER_INVALID_ARGUMENT unless the matrix comes with a finite Gram matrix of its inputs.
static inline int32_t check_gram(const espalier_host *host, const espalier_matrix *matrix, espalier_message *message) {
  const espalier_gram *gram = matrix->gram;
  if (gram == NULL) {
    return refuse(message, "%s comes without the Gram matrix of its inputs; give a calibration dataset",
                  matrix->tensor);
  }
  if (gram->count != matrix->columns || gram->sequences < 1) {
    return refuse(message,
                  "%s has %lld columns but a Gram matrix of %lld inputs over %lld sequences; they must match, and 1 "
                  "sequence is the least",
                  matrix->tensor, (long long)matrix->columns, (long long)gram->count, (long long)gram->sequences);
  }
  for (int64_t i = 0; i < gram->count; i++) {
    if (host->cancelled(host)) return ESPALIER_CANCELLED;
    const float *row = gram->products + i * gram->count;
    float sum = 0;  // x - x is 0 for a finite x, NaN otherwise
    for (int64_t j = 0; j < gram->count; j++) sum += row[j] - row[j];
    if (sum != 0 || !(row[i] >= 0)) {
      return refuse(message,
                    "row %lld of the Gram matrix of %s is not finite, or its diagonal is negative; check the dataset",
                    (long long)i, matrix->tensor);
    }
  }
  return ESPALIER_OK;
}

// What methods over Gram matrices begin with: the host's linear algebra, and a Gram matrix that can be trusted.
static inline int32_t begin_with_gram(const espalier_host *host, const espalier_matrix *matrix,
                                      const espalier_linear_algebra **algebra, espalier_message *message) {
  *algebra = algebra_of(host, message);
  return *algebra == NULL ? ESPALIER_FAILED : check_gram(host, matrix, message);
}

// Mean of the diagonal: the unit of damping.
static inline double gram_mean_diagonal(const espalier_gram *gram) {
  double sum = 0;
  for (int64_t i = 0; i < gram->count; i++) sum += gram->products[i * gram->count + i];
  return sum / (double)gram->count;
}

// Fails with ESPALIER_INVALID_ARGUMENT if all inputs are 0 for every token: then there is no unit of damping.
static inline int32_t check_gram_fires(const espalier_matrix *matrix, espalier_message *message) {
  if (gram_mean_diagonal(matrix->gram) > 0) return ESPALIER_OK;
  return refuse(message, "all inputs of %s are 0 for every token; check the dataset", matrix->tensor);
}

#endif
