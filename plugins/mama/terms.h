// terms.h: what a score of mama is mixed from: magnitude, movement and reward, row by row in fp32.

#ifndef ESPALIER_MAMA_TERMS_H
#define ESPALIER_MAMA_TERMS_H

#include <math.h>
#include <string.h>

#include "gradients.h"

struct term {
  // Writes values[0 ..< columns]: the term of one row.
  void (*fill)(const struct term *term, const espalier_matrix *matrix, int64_t row, float *values);
  double weight;
  const float *norms;   // magnitude: [columns] ||X_j||_2, or NULL
  const float *reward;  // reward: [rows, columns]
  // What the normalisation within the matrix needs of the whole term: normalise.h.
  double mean;          // mean magnitude
  float *sorted;        // [rows * columns] ascending
};

static inline void fill_magnitude(const struct term *term, const espalier_matrix *matrix, int64_t row, float *values) {
  const float *weights = matrix->weights + row * matrix->columns;
  for (int64_t j = 0; j < matrix->columns; j++) {
    values[j] = term->norms == NULL ? fabsf(weights[j]) : fabsf(weights[j]) * term->norms[j];
  }
}

static inline void fill_away(const struct term *term, const espalier_matrix *matrix, int64_t row, float *values) {
  (void)term;
  for (int64_t j = 0; j < matrix->columns; j++) values[j] = (float)(0 - movement_at(matrix, row * matrix->columns + j));
}

static inline void fill_sensitivity(const struct term *term, const espalier_matrix *matrix, int64_t row,
                                    float *values) {
  (void)term;
  for (int64_t j = 0; j < matrix->columns; j++) values[j] = (float)fabs(movement_at(matrix, row * matrix->columns + j));
}

static inline void fill_reward(const struct term *term, const espalier_matrix *matrix, int64_t row, float *values) {
  memcpy(values, term->reward + row * matrix->columns, (size_t)matrix->columns * sizeof *values);
}

#endif
