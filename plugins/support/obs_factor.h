// obs_factor.h: the upper factor of an inverse Hessian, from which optimal brain surgery column by column is read off.
//
// SparseGPT (Frantar and Alistarh 2023, arXiv 2301.00774): H = 2/n sum x x^T + damping, H^-1 = U^T U.

#ifndef ESPALIER_SUPPORT_OBS_FACTOR_H
#define ESPALIER_SUPPORT_OBS_FACTOR_H

#include "factor.h"
#include "gram.h"

// Writes U[n, n], row-major, 0 below the diagonal, in fp32 from a factorisation in double. The diagonal of H is 1 at
// dead inputs; the damping is `fraction` of its mean after that.
static inline int32_t obs_factor(const espalier_host *host, const espalier_linear_algebra *algebra,
                                 const espalier_matrix *matrix, double fraction, float *upper,
                                 espalier_message *message) {
  const espalier_gram *gram = matrix->gram;
  const int64_t n = gram->count;
  double *h = malloc((size_t)(n * n) * sizeof *h);
  if (h == NULL) return espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for the Hessian in double");
  const double scale = 2.0 / (double)gram->sequences;
  for (int64_t i = 0; i < n * n; i++) h[i] = scale * gram->products[i];
  double trace = 0;
  for (int64_t i = 0; i < n; i++) {
    if (gram->products[i * n + i] == 0) h[i * n + i] = 1;
    trace += h[i * n + i];
  }
  double damping = fraction * trace / (double)n;
  int32_t status = factor_damped(host, algebra, matrix->tensor, n, h, &damping, message);
  if (status == ESPALIER_OK) status = algebra_report(algebra->cholesky_inverse_f64(host, n, h, n), message);
  if (status == ESPALIER_OK) {
    int64_t pivot = 0;
    status = algebra->cholesky_f64(host, n, h, n, &pivot);
    if (status == ESPALIER_FAILED) {
      snprintf(message->text, message->capacity,
               "the inverse Hessian of %s is not positive definite (row %lld); give a larger damping", matrix->tensor,
               (long long)pivot);
    } else {
      status = algebra_report(status, message);
    }
  }
  for (int64_t i = 0; i < n && status == ESPALIER_OK; i++) {
    for (int64_t j = 0; j < n; j++) upper[i * n + j] = j < i ? 0 : (float)h[j * n + i];
    if (!(upper[i * n + i] > 0) || !isfinite(upper[i * n + i])) {
      snprintf(message->text, message->capacity,
               "the factor of the inverse Hessian of %s is %g at input %lld, beyond what fp32 holds; check the dataset",
               matrix->tensor, (double)upper[i * n + i], (long long)i);
      status = ESPALIER_INVALID_ARGUMENT;
    }
  }
  free(h);
  return status;
}

#endif
