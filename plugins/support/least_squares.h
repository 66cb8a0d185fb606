// least_squares.h: the best weights on a given support, row by row, exactly.
//
//   minimise (u - w') A (u - w')^T over w' with w'_P = 0        A = G + d I, K kept, P pruned, B = A^-1
//
//   from the kept ones:    w'_K = u_K + A_KK^-1 A_KP u_P
//   from the pruned ones:  w'_K = u_K - B_KP B_PP^-1 u_P
//
// Both are the same number; each row takes the smaller system. All of it is in double.

#ifndef ESPALIER_SUPPORT_LEAST_SQUARES_H
#define ESPALIER_SUPPORT_LEAST_SQUARES_H

#include "damped_gram.h"

// What one fit works on. All of it belongs to the caller.
struct least_squares {
  const espalier_host *host;
  const espalier_linear_algebra *algebra;
  const espalier_matrix *matrix;
  const struct damped_gram *gram;  // A; without B every row solves for its kept weights
  const double *aim;               // [rows, columns] u, the best weights without a mask; NULL: those of the matrix
  const uint8_t *kept;             // [rows, columns]
  float *weights;                  // [rows, columns] written where kept
};

#define LEAST_SQUARES_CHUNK 16

// One row; `index`, `system` and `vectors` are scratch for n indices, n^2 and 2 n numbers.
static inline int32_t least_squares_row(const struct least_squares *fit, int64_t row, int64_t *index, double *system,
                                        double *vectors) {
  const int64_t n = fit->matrix->columns;
  const uint8_t *kept = fit->kept + row * n;
  float *weights = fit->weights + row * n;
  double *u = vectors, *x = vectors + n;
  int64_t pruned_count = 0;
  for (int64_t j = 0; j < n; j++) {
    u[j] = fit->aim != NULL ? fit->aim[row * n + j] : (double)fit->matrix->weights[row * n + j];
    pruned_count += kept[j] == 0;
  }
  if (pruned_count == n) return ESPALIER_OK;
  const int complement = fit->gram->inverse != NULL && pruned_count < n - pruned_count;

  // index: the unknowns of the system first, then all others.
  const uint8_t unknown = complement ? 0 : 1;
  const int64_t m = complement ? pruned_count : n - pruned_count;
  int64_t front = 0, back = m;
  for (int64_t j = 0; j < n; j++) index[(kept[j] != 0) == unknown ? front++ : back++] = j;
  const double *source = complement ? fit->gram->inverse : fit->gram->a;
  if (pruned_count > 0) {
    for (int64_t r = 0; r < m; r++) {
      const double *line = source + index[r] * n;
      for (int64_t c = 0; c <= r; c++) system[r * m + c] = line[index[c]];
      double sum = 0;
      for (int64_t c = m; c < n && !complement; c++) sum += line[index[c]] * u[index[c]];
      x[r] = complement ? u[index[r]] : sum;
    }
    int64_t pivot;
    int32_t status = fit->algebra->cholesky_f64(fit->host, m, system, m, &pivot);
    if (status == ESPALIER_OK) status = fit->algebra->cholesky_solve_f64(fit->host, m, system, m, 1, x, m);
    if (status != ESPALIER_OK) return status;
  }
  if (!complement) {
    for (int64_t r = 0; r < m; r++) weights[index[r]] = (float)(u[index[r]] + (pruned_count > 0 ? x[r] : 0));
    return ESPALIER_OK;
  }
  for (int64_t k = m; k < n; k++) {
    const double *line = source + index[k] * n;
    double sum = 0;
    for (int64_t c = 0; c < m; c++) sum += line[index[c]] * x[c];
    weights[index[k]] = (float)(u[index[k]] - sum);
  }
  return ESPALIER_OK;
}

static inline int32_t least_squares_chunk(void *context, int64_t chunk) {
  const struct least_squares *fit = context;
  const int64_t n = fit->matrix->columns, rows = fit->matrix->rows, first = chunk * LEAST_SQUARES_CHUNK;
  const int64_t end = first + LEAST_SQUARES_CHUNK < rows ? first + LEAST_SQUARES_CHUNK : rows;
  int64_t largest = 0;  // system of the chunk
  for (int64_t row = first; row < end; row++) {
    int64_t kept = 0;
    for (int64_t j = 0; j < n; j++) kept += fit->kept[row * n + j] != 0;
    const int64_t m = fit->gram->inverse != NULL && n - kept < kept ? n - kept : kept;
    if (m > largest) largest = m;
  }
  const size_t numbers = (size_t)(2 * n) + (size_t)(largest * largest);
  int64_t *index = malloc((size_t)n * sizeof *index + numbers * sizeof(double));
  if (index == NULL) return ESPALIER_OUT_OF_MEMORY;
  double *vectors = (double *)(index + n), *system = vectors + 2 * n;
  int32_t status = ESPALIER_OK;
  for (int64_t row = first; row < end && status == ESPALIER_OK; row++) {
    status = fit->host->cancelled(fit->host) ? ESPALIER_CANCELLED
                                             : least_squares_row(fit, row, index, system, vectors);
  }
  free(index);
  return status;
}

// Fits all rows, on all threads. Rows without kept weights stay as they are.
static inline int32_t least_squares_fit(struct least_squares *fit, espalier_message *message) {
  const int64_t chunks = (fit->matrix->rows + LEAST_SQUARES_CHUNK - 1) / LEAST_SQUARES_CHUNK;
  return algebra_report(fit->host->parallel_for(fit->host, chunks, least_squares_chunk, fit), message);
}

// True if some row of the mask prunes fewer weights than it keeps, so that the inverse gives it the smaller system.
static inline int least_squares_wants_inverse(const uint8_t *kept, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows; i++) {
    int64_t count = 0;
    for (int64_t j = 0; j < columns; j++) count += kept[i * columns + j] != 0;
    if (count < columns && columns - count < count) return 1;
  }
  return 0;
}

#endif
