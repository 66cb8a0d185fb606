// conjugate.h: least squares on a given support by conjugate gradients, all rows at once, from a start that is near.
//
//   minimise (w - x) A (w - x)^T over x with x_P = 0        A = G + d I, K kept, P pruned
//
// Preconditioned by the diagonal of A (Saad 2003, Iterative Methods for Sparse Linear Systems, algorithm 9.1), each row
// with its own step lengths; products in fp32, sums in double. At the end each pruned place gets what restoring its
// weight alone would make of it, [(w - x) A]_p / A_pp: what the weight is worth now, for those who choose again.

#ifndef ESPALIER_CONJUGATE_H
#define ESPALIER_CONJUGATE_H

#include <stdlib.h>
#include <string.h>

#include "gram.h"

// What one fit works on, one array of floats each.
struct conjugate {
  const espalier_matrix *matrix;
  int64_t columns;
  const uint8_t *kept;   // [rows, columns]
  float damping;         // d
  float *a;              // [columns, columns]
  float *scale;          // [columns] 1 / diagonal of a
  float *x;              // [rows, columns] the caller's weights
  float *residual;       // [rows, columns] w A - x A, masked while steps are taken
  float *direction;      // [rows, columns]
  float *image;          // [rows, columns] direction A
  double *energy;        // [rows] r . r / diag A
};

// Sums are in double and in as many lanes, which are added at the end, for their terms not to wait for one another.
#define CONJUGATE_LANES 16

// sum of a b c; c NULL for sum of a b.
static inline double conjugate_sum(const float *restrict a, const float *restrict b, const float *restrict c,
                                   int64_t count) {
  double lanes[CONJUGATE_LANES] = {0}, sum = 0;
  int64_t j = 0;
  for (; j + CONJUGATE_LANES <= count; j += CONJUGATE_LANES) {
    for (int l = 0; l < CONJUGATE_LANES; l++) {
      lanes[l] += (double)a[j + l] * (c == NULL ? b[j + l] : b[j + l] * c[j + l]);
    }
  }
  for (int l = 0; l < CONJUGATE_LANES; l++) sum += lanes[l];
  for (; j < count; j++) sum += (double)a[j] * (c == NULL ? b[j] : b[j] * c[j]);
  return sum;
}

// A, an input of which was always 0 having nothing to fit.
static inline int32_t conjugate_damp_row(void *context, int64_t i) {
  const struct conjugate *fit = context;
  const int64_t n = fit->columns;
  memcpy(fit->a + i * n, fit->matrix->gram->products + i * n, (size_t)n * sizeof *fit->a);
  fit->a[i * n + i] += fit->damping > 0 ? fit->damping : 1e-20f;
  fit->scale[i] = 1 / fit->a[i * n + i];
  return ESPALIER_OK;
}

// image = w A before, residual = image - x A after: residual, direction and energy of the start.
static inline int32_t conjugate_start_row(void *context, int64_t row) {
  const struct conjugate *fit = context;
  const int64_t n = fit->columns;
  double energy = 0;
  for (int64_t j = 0; j < n; j++) {
    const int64_t i = row * n + j;
    const float r = fit->kept[i] ? fit->residual[i] : 0;
    fit->residual[i] = r;
    fit->direction[i] = r * fit->scale[j];
    energy += (double)r * fit->direction[i];
  }
  fit->energy[row] = energy;
  return ESPALIER_OK;
}

static inline int32_t conjugate_step_row(void *context, int64_t row) {
  const struct conjugate *fit = context;
  const int64_t n = fit->columns;
  const uint8_t *restrict kept = fit->kept + row * n;
  float *restrict x = fit->x + row * n, *restrict r = fit->residual + row * n, *restrict p = fit->direction + row * n;
  const float *restrict q = fit->image + row * n, *restrict scale = fit->scale;
  const double curvature = conjugate_sum(p, q, NULL, n);  // p is 0 where pruned
  if (!(curvature > 0) || !(fit->energy[row] > 0)) return ESPALIER_OK;  // solved already
  const float length = (float)(fit->energy[row] / curvature);
  for (int64_t j = 0; j < n; j++) {
    x[j] += length * p[j];
    r[j] -= kept[j] ? length * q[j] : 0;
  }
  const double energy = conjugate_sum(r, r, scale, n);
  const float keep = (float)(energy / fit->energy[row]);
  for (int64_t j = 0; j < n; j++) p[j] = r[j] * scale[j] + keep * p[j];
  fit->energy[row] = energy;
  return ESPALIER_OK;
}

static inline int32_t conjugate_mask_row(void *context, int64_t row) {
  const struct conjugate *fit = context;
  for (int64_t i = row * fit->columns; i < (row + 1) * fit->columns; i++) {
    if (!fit->kept[i]) fit->x[i] = 0;
  }
  return ESPALIER_OK;
}

static inline int32_t conjugate_worth_row(void *context, int64_t row) {
  const struct conjugate *fit = context;
  const int64_t n = fit->columns;
  for (int64_t j = 0; j < n; j++) {
    const int64_t i = row * n + j;
    if (!fit->kept[i]) fit->x[i] = fit->residual[i] * fit->scale[j];
  }
  return ESPALIER_OK;
}

// image = w - x.
static inline int32_t conjugate_difference_row(void *context, int64_t row) {
  const struct conjugate *fit = context;
  const float *w = fit->matrix->weights;
  for (int64_t i = row * fit->columns; i < (row + 1) * fit->columns; i++) fit->image[i] = w[i] - fit->x[i];
  return ESPALIER_OK;
}

// residual = (w - x) A.
static inline int32_t conjugate_residual(const espalier_host *host, const espalier_linear_algebra *algebra,
                                         struct conjugate *fit) {
  const int64_t rows = fit->matrix->rows, n = fit->columns;
  const int32_t status = host->parallel_for(host, rows, conjugate_difference_row, fit);
  if (status != ESPALIER_OK) return status;
  return algebra->product_f32(host, 0, 0, rows, n, n, 1, fit->image, n, fit->a, n, 0, fit->residual, n);
}

static inline int32_t conjugate_run(const espalier_host *host, const espalier_linear_algebra *algebra,
                                    struct conjugate *fit, int64_t steps) {
  const int64_t rows = fit->matrix->rows, n = fit->columns;
  int32_t status = host->parallel_for(host, n, conjugate_damp_row, fit);
  if (status == ESPALIER_OK) status = host->parallel_for(host, rows, conjugate_mask_row, fit);
  if (status == ESPALIER_OK) status = conjugate_residual(host, algebra, fit);
  if (status == ESPALIER_OK) status = host->parallel_for(host, rows, conjugate_start_row, fit);
  for (int64_t step = 0; step < steps && status == ESPALIER_OK; step++) {
    if (host->cancelled(host)) return ESPALIER_CANCELLED;
    status = algebra->product_f32(host, 0, 0, rows, n, n, 1, fit->direction, n, fit->a, n, 0, fit->image, n);
    if (status == ESPALIER_OK) status = host->parallel_for(host, rows, conjugate_step_row, fit);
  }
  if (status == ESPALIER_OK) status = conjugate_residual(host, algebra, fit);
  if (status == ESPALIER_OK) status = host->parallel_for(host, rows, conjugate_worth_row, fit);
  return status;
}

// Takes `steps` from `weights`, whose pruned places do not count. d = damping * mean(diag G).
static inline int32_t conjugate_fit(const espalier_host *host, const espalier_matrix *matrix, const uint8_t *kept,
                                    double damping, int64_t steps, float *weights, espalier_message *message) {
  const espalier_linear_algebra *algebra;
  int32_t status = begin_with_gram(host, matrix, &algebra, message);
  if (status != ESPALIER_OK) return status;
  const int64_t n = matrix->columns, numel = matrix->rows * n;
  float *a = malloc((size_t)(n * n + n) * sizeof *a);
  float *room = malloc(3 * (size_t)numel * sizeof *room);
  double *energy = malloc((size_t)matrix->rows * sizeof *energy);
  if (a == NULL || room == NULL || energy == NULL) {
    status = espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for conjugate gradients");
  } else {
    struct conjugate fit = {.matrix = matrix, .columns = n, .kept = kept, .a = a, .scale = a + n * n, .x = weights,
                            .residual = room, .direction = room + numel, .image = room + 2 * numel, .energy = energy,
                            .damping = (float)(damping * gram_mean_diagonal(matrix->gram))};
    status = algebra_report(conjugate_run(host, algebra, &fit, steps), message);
  }
  free(energy);
  free(room);
  free(a);
  return status;
}

#endif
