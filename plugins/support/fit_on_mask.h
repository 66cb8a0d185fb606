// fit_on_mask.h: the body of the compensators least-squares and least-squares-dense.
//
//   same inputs:   u = W
//   dense inputs:  u = (W C + d W) (G + d I)^-1        C = sum z x^T: what the map said before anything was pruned

#ifndef ESPALIER_SUPPORT_FIT_ON_MASK_H
#define ESPALIER_SUPPORT_FIT_ON_MASK_H

#include "damped_gram.h"

// Writes aim[rows, columns] = (W C + d W) (G + d I)^-1 in double, with the factor of G + d I.
static inline int32_t fit_on_mask_aim(const espalier_host *host, const espalier_linear_algebra *algebra,
                                      const espalier_matrix *matrix, const struct damped_gram *gram, double *aim,
                                      espalier_message *message) {
  const int64_t n = matrix->columns, numel = matrix->rows * n;
  double *wide = malloc((size_t)(n * n + numel) * sizeof *wide);
  if (wide == NULL) return espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for the cross Gram matrix");
  double *weights = wide + n * n;
  for (int64_t i = 0; i < n * n; i++) wide[i] = matrix->gram->cross[i];
  for (int64_t i = 0; i < numel; i++) aim[i] = weights[i] = matrix->weights[i];
  int32_t status = algebra->product_f64(host, 0, 0, matrix->rows, n, n, 1, weights, n, wide, n, gram->damping, aim, n);
  if (status == ESPALIER_OK) status = algebra->cholesky_solve_f64(host, n, gram->factor, n, matrix->rows, aim, n);
  free(wide);
  return algebra_report(status, message);
}

// Writes the fitted weights where kept. `dense_inputs`: 1 for the second aim above.
static inline int32_t fit_on_mask(const espalier_host *host, const espalier_matrix *matrix, const uint8_t *kept,
                                  double damping, int dense_inputs, float *weights, espalier_message *message) {
  const espalier_linear_algebra *algebra = algebra_of(host, message);
  if (algebra == NULL) return ESPALIER_FAILED;
  int32_t status = gram_check(matrix, message);
  if (status != ESPALIER_OK) return status;
  if (dense_inputs && matrix->gram->cross == NULL) {
    snprintf(message->text, message->capacity,
             "%s comes without the products of its inputs before and after pruning; give a calibration dataset",
             matrix->tensor);
    return ESPALIER_INVALID_ARGUMENT;
  }
  struct damped_gram gram;
  status = damped_gram_prepare(host, algebra, matrix, damping,
                               damped_gram_wants_inverse(kept, matrix->rows, matrix->columns), &gram, message);
  double *aim = NULL;
  if (status == ESPALIER_OK && dense_inputs) {
    aim = malloc((size_t)(matrix->rows * matrix->columns) * sizeof *aim);
    status = aim == NULL ? espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for the best dense weights")
                         : fit_on_mask_aim(host, algebra, matrix, &gram, aim, message);
  }
  if (status == ESPALIER_OK) {
    struct least_squares fit = {.host = host, .algebra = algebra, .rows = matrix->rows, .columns = matrix->columns,
                                .a = gram.a, .inverse = gram.inverse, .aim = aim, .dense = matrix->weights,
                                .kept = kept, .weights = weights};
    status = least_squares_fit(&fit, message);
  }
  free(aim);
  damped_gram_free(&gram);
  return status;
}

#endif
