// conjugate.h: least squares on a given support by conjugate gradients, all rows at once, from a start that is near.
//
//   minimise (w - x) A (w - x)^T over x with x_P = 0        A = G + d I, K kept, P pruned
//
// Preconditioned by the diagonal of A (Saad 2003, Iterative Methods for Sparse Linear Systems, algorithm 9.1), each row
// with its own step lengths; products in fp32, sums in double. At the end each pruned place gets what restoring its
// weight alone would make of it, [(w - x) A]_p / A_pp: what the weight is worth now, for those who choose again.

#ifndef ESPALIER_SUPPORT_CONJUGATE_H
#define ESPALIER_SUPPORT_CONJUGATE_H

#include <stdlib.h>

#include "algebra.h"
#include "gram.h"

// What one fit works on, one array of floats each.
struct conjugate {
  int64_t columns;
  const uint8_t *kept;   // [rows, columns]
  const float *dense;    // [rows, columns] w
  const float *a;        // [columns, columns]
  const float *scale;    // [columns] 1 / diagonal of a
  float *x;              // [rows, columns] the caller's weights
  float *residual;       // [rows, columns] w A - x A, masked while steps are taken
  float *direction;      // [rows, columns]
  float *image;          // [rows, columns] direction A
  double *energy;        // [rows] r . r / diag A
};

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
  const uint8_t *kept = fit->kept + row * n;
  float *x = fit->x + row * n, *r = fit->residual + row * n, *p = fit->direction + row * n;
  const float *q = fit->image + row * n, *scale = fit->scale;
  double curvature = 0;
  for (int64_t j = 0; j < n; j++) curvature += (double)p[j] * q[j];  // p is 0 where pruned
  if (!(curvature > 0) || !(fit->energy[row] > 0)) return ESPALIER_OK;  // solved already
  const float length = (float)(fit->energy[row] / curvature);
  double energy = 0;
  for (int64_t j = 0; j < n; j++) {
    x[j] += length * p[j];
    r[j] -= kept[j] ? length * q[j] : 0;
    energy += (double)r[j] * (r[j] * scale[j]);
  }
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
  for (int64_t i = row * fit->columns; i < (row + 1) * fit->columns; i++) fit->image[i] = fit->dense[i] - fit->x[i];
  return ESPALIER_OK;
}

// residual = (w - x) A.
static inline int32_t conjugate_residual(const espalier_host *host, const espalier_linear_algebra *algebra,
                                         int64_t rows, const struct conjugate *fit) {
  const int64_t n = fit->columns;
  const int32_t status = host->parallel_for(host, rows, conjugate_difference_row, (void *)fit);
  if (status != ESPALIER_OK) return status;
  return algebra->product_f32(host, 0, 0, rows, n, n, 1, fit->image, n, fit->a, n, 0, fit->residual, n);
}

static inline int32_t conjugate_run(const espalier_host *host, const espalier_linear_algebra *algebra,
                                    const espalier_matrix *matrix, struct conjugate *fit, int64_t steps) {
  const int64_t rows = matrix->rows, n = fit->columns;
  int32_t status = host->parallel_for(host, rows, conjugate_mask_row, fit);
  if (status == ESPALIER_OK) status = conjugate_residual(host, algebra, rows, fit);
  if (status == ESPALIER_OK) status = host->parallel_for(host, rows, conjugate_start_row, fit);
  for (int64_t step = 0; step < steps && status == ESPALIER_OK; step++) {
    if (host->cancelled(host)) return ESPALIER_CANCELLED;
    status = algebra->product_f32(host, 0, 0, rows, n, n, 1, fit->direction, n, fit->a, n, 0, fit->image, n);
    if (status == ESPALIER_OK) status = host->parallel_for(host, rows, conjugate_step_row, fit);
  }
  if (status == ESPALIER_OK) status = conjugate_residual(host, algebra, rows, fit);
  if (status == ESPALIER_OK) status = host->parallel_for(host, rows, conjugate_worth_row, fit);
  return status;
}

// Takes `steps` from `weights`, whose pruned places do not count. d = damping * mean(diag G).
static inline int32_t conjugate_fit(const espalier_host *host, const espalier_matrix *matrix, const uint8_t *kept,
                                    double damping, int64_t steps, float *weights, espalier_message *message) {
  const espalier_linear_algebra *algebra = algebra_of(host, message);
  if (algebra == NULL) return ESPALIER_FAILED;
  int32_t status = gram_check(matrix, message);
  if (status != ESPALIER_OK) return status;
  const int64_t n = matrix->columns, numel = matrix->rows * n;
  float *a = malloc((size_t)(n * n + n) * sizeof *a);
  float *room = malloc(3 * (size_t)numel * sizeof *room);
  double *energy = malloc((size_t)matrix->rows * sizeof *energy);
  if (a == NULL || room == NULL || energy == NULL) {
    status = espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for conjugate gradients");
  } else {
    const float d = (float)(damping * gram_mean_diagonal(matrix->gram));
    for (int64_t i = 0; i < n * n; i++) a[i] = matrix->gram->products[i];
    float *scale = a + n * n;
    for (int64_t j = 0; j < n; j++) {
      a[j * n + j] += d > 0 ? d : 1e-20f;  // an input that was always 0 has nothing to fit
      scale[j] = 1 / a[j * n + j];
    }
    struct conjugate fit = {.columns = n, .kept = kept, .dense = matrix->weights, .a = a, .scale = scale, .x = weights,
                            .residual = room, .direction = room + numel, .image = room + 2 * numel, .energy = energy};
    status = algebra_report(conjugate_run(host, algebra, matrix, &fit, steps), message);
  }
  free(energy);
  free(room);
  free(a);
  return status;
}

#endif
