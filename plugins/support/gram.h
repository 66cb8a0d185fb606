// gram.h: checks the Gram matrix of a linear map's inputs before a method trusts it, and counts inputs that never fire.

#ifndef ESPALIER_SUPPORT_GRAM_H
#define ESPALIER_SUPPORT_GRAM_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "espalier_plugin.h"

// Fails with ESPALIER_INVALID_ARGUMENT unless the matrix comes with a finite Gram matrix of its inputs.
static inline int32_t gram_check(const espalier_matrix *matrix, espalier_message *message) {
  const espalier_gram *gram = matrix->gram;
  if (gram == NULL) {
    snprintf(message->text, message->capacity,
             "%s comes without the Gram matrix of its inputs; give a calibration dataset", matrix->tensor);
    return ESPALIER_INVALID_ARGUMENT;
  }
  if (gram->count != matrix->columns || gram->sequences < 1) {
    snprintf(message->text, message->capacity,
             "%s has %lld columns but a Gram matrix of %lld inputs over %lld sequences; they must match, and 1 "
             "sequence is the least", matrix->tensor, (long long)matrix->columns, (long long)gram->count,
             (long long)gram->sequences);
    return ESPALIER_INVALID_ARGUMENT;
  }
  for (int64_t i = 0; i < gram->count; i++) {
    const float *row = gram->products + i * gram->count;
    float sum = 0;  // x - x is 0 for a finite x, NaN otherwise
    for (int64_t j = 0; j < gram->count; j++) sum += row[j] - row[j];
    if (sum != 0 || !(row[i] >= 0)) {
      snprintf(message->text, message->capacity,
               "row %lld of the Gram matrix of %s is not finite, or its diagonal is negative; check the dataset",
               (long long)i, matrix->tensor);
      return ESPALIER_INVALID_ARGUMENT;
    }
  }
  return ESPALIER_OK;
}

// Mean of the diagonal: the unit of damping.
static inline double gram_mean_diagonal(const espalier_gram *gram) {
  double sum = 0;
  for (int64_t i = 0; i < gram->count; i++) sum += gram->products[i * gram->count + i];
  return sum / (double)gram->count;
}

// Inputs that are 0 for every token.
static inline int64_t gram_dead_inputs(const espalier_gram *gram) {
  int64_t dead = 0;
  for (int64_t i = 0; i < gram->count; i++) dead += gram->products[i * gram->count + i] == 0;
  return dead;
}

#endif
