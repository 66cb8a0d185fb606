// gradients.h: checked gradients of a matrix.
// Shared by bundled plugins; a plugin of your own needs only espalier_plugin.h. Keeps no state.

#ifndef ESPALIER_SUPPORT_GRADIENTS_H
#define ESPALIER_SUPPORT_GRADIENTS_H

#include <stdio.h>

#include "espalier_plugin.h"

// Fails with ESPALIER_INVALID_ARGUMENT unless `gradients`, those of `what` ("the model's loss"), are there and whole.
// That their numbers are finite shows in the scores: see rows.h.
static inline int32_t check_gradients(const espalier_matrix *matrix, const espalier_gradients *gradients,
                                      const char *what, espalier_message *message) {
  if (gradients == NULL) {
    snprintf(message->text, message->capacity, "%s comes without gradients of %s; give a calibration dataset",
             matrix->tensor, what);
    return ESPALIER_INVALID_ARGUMENT;
  }
  if (gradients->samples < 1) {
    snprintf(message->text, message->capacity, "the gradients of %s for %s cover %lld sequences; at least 1 is needed",
             what, matrix->tensor, (long long)gradients->samples);
    return ESPALIER_INVALID_ARGUMENT;
  }
  if (gradients->sum == NULL || gradients->sum_of_squares == NULL) {
    snprintf(message->text, message->capacity, "the gradients of %s for %s come without their %s", what,
             matrix->tensor, gradients->sum == NULL ? "sums" : "sums of squares");
    return ESPALIER_INVALID_ARGUMENT;
  }
  return ESPALIER_OK;
}

// Sum over steps of w_t g_t at element `i`: as the host accumulated it while the weights were trained, and w * sum of g
// if they stayed. In double.
static inline double movement_at(const espalier_matrix *matrix, int64_t i) {
  const espalier_gradients *gradients = matrix->gradients;
  if (gradients->movement != NULL) return (double)gradients->movement[i];
  return (double)matrix->weights[i] * (double)gradients->sum[i];
}

// Fails with ESPALIER_INVALID_ARGUMENT unless the gradients of the model's loss are there, and their movement if the
// weights were trained.
static inline int32_t check_movement(const espalier_matrix *matrix, espalier_message *message) {
  const int32_t status = check_gradients(matrix, matrix->gradients, "the model's loss", message);
  if (status != ESPALIER_OK) return status;
  if (matrix->gradients->steps > 0 && matrix->gradients->movement == NULL) {
    snprintf(message->text, message->capacity,
             "the weights of %s took %lld training steps, but the gradients come without the movement of those steps",
             matrix->tensor, (long long)matrix->gradients->steps);
    return ESPALIER_INVALID_ARGUMENT;
  }
  return ESPALIER_OK;
}

#endif  // ESPALIER_SUPPORT_GRADIENTS_H
