// fit_on_mask.h: the body of the compensators least-squares and least-squares-dense.
//
//   same inputs:   u = W
//   dense inputs:  u = (W C + d W) (G + d I)^-1        C = sum z x^T: what the map said before anything was pruned

#ifndef ESPALIER_SUPPORT_FIT_ON_MASK_H
#define ESPALIER_SUPPORT_FIT_ON_MASK_H

#include "least_squares.h"

// Writes aim[rows, columns] = (W C + d W) (G + d I)^-1 in double, with the factor of G + d I.
static inline int32_t fit_on_mask_aim(const espalier_host *host, const espalier_linear_algebra *algebra,
                                      const espalier_matrix *matrix, const struct damped_gram *gram, double *aim,
                                      espalier_message *message) {
  const int64_t n = matrix->columns, numel = matrix->rows * n;
  double *wide = malloc((size_t)(n * n + numel) * sizeof *wide);
  if (wide == NULL) return espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for the cross Gram matrix");
  double *weights = wide + n * n;
  int32_t status = widen(host, matrix->gram->cross, n, n, wide);
  if (status == ESPALIER_OK) status = widen(host, matrix->weights, matrix->rows, n, weights);
  if (status == ESPALIER_OK) status = widen(host, matrix->weights, matrix->rows, n, aim);
  if (status == ESPALIER_OK) {
    status = algebra->product_f64(host, 0, 0, matrix->rows, n, n, 1, weights, n, wide, n, gram->damping, aim, n);
  }
  if (status == ESPALIER_OK) status = algebra->cholesky_solve_f64(host, n, gram->factor, n, matrix->rows, aim, n);
  free(wide);
  return algebra_report(status, message);
}

// Writes the fitted weights where kept. `dense_inputs`: 1 for the second aim above.
static inline int32_t fit_on_mask(const espalier_host *host, const espalier_matrix *matrix, const uint8_t *kept,
                                  double damping, int dense_inputs, float *weights, espalier_message *message) {
  const espalier_linear_algebra *algebra;
  int32_t status = begin_with_gram(host, matrix, &algebra, message);
  if (status != ESPALIER_OK) return status;
  if (dense_inputs && matrix->gram->cross == NULL) {
    return refuse(message,
                  "%s comes without the products of its inputs before and after pruning; give a calibration dataset",
                  matrix->tensor);
  }
  struct damped_gram gram;
  status = damped_gram_prepare(host, algebra, matrix, damping,
                               least_squares_wants_inverse(kept, matrix->rows, matrix->columns), &gram, message);
  double *aim = NULL;
  if (status == ESPALIER_OK && dense_inputs) {
    aim = malloc((size_t)(matrix->rows * matrix->columns) * sizeof *aim);
    status = aim == NULL ? espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for the best dense weights")
                         : fit_on_mask_aim(host, algebra, matrix, &gram, aim, message);
  }
  if (status == ESPALIER_OK) {
    struct least_squares fit = {.host = host, .algebra = algebra, .matrix = matrix, .gram = &gram, .aim = aim,
                                .kept = kept, .weights = weights};
    status = least_squares_fit(&fit, message);
  }
  free(aim);
  damped_gram_free(&gram);
  return status;
}

#endif
