// damped_gram.h: G + d I of one input in double, its factor and its inverse: what least squares on a support needs.

#ifndef ESPALIER_SUPPORT_DAMPED_GRAM_H
#define ESPALIER_SUPPORT_DAMPED_GRAM_H

#include "factor.h"
#include "gram.h"

// The arrays are n x n, both triangles, and belong to whoever prepared them: damped_gram_free.
struct damped_gram {
  int64_t n;
  double damping;   // d
  double *a;        // G + d I
  double *factor;   // l of l l^T = a in the lower triangle
  double *inverse;  // a^-1, or NULL if it was not asked for
};

static inline void damped_gram_free(struct damped_gram *gram) {
  free(gram->a);
  free(gram->factor);
  free(gram->inverse);
  *gram = (struct damped_gram){0};
}

// inverse = (l l^T)^-1
static inline int32_t damped_gram_invert(const espalier_host *host, const espalier_linear_algebra *algebra,
                                         struct damped_gram *gram) {
  const int64_t n = gram->n;
  for (int64_t i = 0; i < n; i++) {
    if (host->cancelled(host)) return ESPALIER_CANCELLED;
    for (int64_t j = 0; j < n; j++) gram->inverse[i * n + j] = gram->factor[i * n + j];
  }
  return algebra->cholesky_inverse_f64(host, n, gram->inverse, n);
}

// d = fraction * mean(diag G), raised where that does not do (see factor_damped). Fails with ESPALIER_INVALID_ARGUMENT
// if no input fires. Free it whatever the status.
static inline int32_t damped_gram_prepare(const espalier_host *host, const espalier_linear_algebra *algebra,
                                          const espalier_matrix *matrix, double fraction, int with_inverse,
                                          struct damped_gram *gram, espalier_message *message) {
  const int64_t n = matrix->columns;
  const size_t bytes = (size_t)(n * n) * sizeof(double);
  *gram = (struct damped_gram){.n = n, .damping = fraction * gram_mean_diagonal(matrix->gram)};
  int32_t status = check_gram_fires(matrix, message);
  if (status != ESPALIER_OK) return status;
  gram->a = malloc(bytes);
  gram->factor = malloc(bytes);
  if (with_inverse) gram->inverse = malloc(bytes);
  if (gram->a == NULL || gram->factor == NULL || (with_inverse && gram->inverse == NULL)) {
    return espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for the damped Gram matrix in double");
  }
  status = widen(host, matrix->gram->products, n, n, gram->a);
  if (status == ESPALIER_OK) status = widen(host, matrix->gram->products, n, n, gram->factor);
  if (status != ESPALIER_OK) return algebra_report(status, message);
  status = factor_damped(host, algebra, matrix->tensor, n, gram->factor, &gram->damping, message);
  if (status != ESPALIER_OK) return status;
  for (int64_t i = 0; i < n; i++) gram->a[i * n + i] += gram->damping;
  return with_inverse ? algebra_report(damped_gram_invert(host, algebra, gram), message) : ESPALIER_OK;
}

#endif
