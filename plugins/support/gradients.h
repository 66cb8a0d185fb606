// gradients.h: checked gradients of a matrix, and how far they move it.

#ifndef ESPALIER_SUPPORT_GRADIENTS_H
#define ESPALIER_SUPPORT_GRADIENTS_H

#include "report.h"

// Fails with ESPALIER_INVALID_ARGUMENT unless `gradients`, those of `what` ("the model's loss"), are there and whole.
// That their numbers are finite shows in the scores: see rows.h.
static inline int32_t check_gradients_of(const espalier_matrix *matrix, const espalier_gradients *gradients,
                                         const char *what, espalier_message *message) {
  if (gradients == NULL) {
    return refuse(message, "%s comes without gradients of %s; give a calibration dataset", matrix->tensor, what);
  }
  if (gradients->samples < 1) {
    return refuse(message, "the gradients of %s for %s cover %lld sequences; at least 1 is needed", what,
                  matrix->tensor, (long long)gradients->samples);
  }
  if (gradients->sum == NULL || gradients->sum_of_squares == NULL) {
    return refuse(message, "the gradients of %s for %s come without their %s", what, matrix->tensor,
                  gradients->sum == NULL ? "sums" : "sums of squares");
  }
  return ESPALIER_OK;
}

// The gradients of the model's loss.
static inline int32_t check_gradients(const espalier_matrix *matrix, espalier_message *message) {
  return check_gradients_of(matrix, matrix->gradients, "the model's loss", message);
}

// The same, and their movement if the weights were trained.
static inline int32_t check_movement(const espalier_matrix *matrix, espalier_message *message) {
  const int32_t status = check_gradients(matrix, message);
  if (status != ESPALIER_OK) return status;
  if (matrix->gradients->steps > 0 && matrix->gradients->movement == NULL) {
    return refuse(message,
                  "the weights of %s took %lld training steps, but the gradients come without the movement of those "
                  "steps",
                  matrix->tensor, (long long)matrix->gradients->steps);
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

#endif
