// obs_factor.h: the upper factor of an inverse Hessian, from which optimal brain surgery column by column is read off.
//
// SparseGPT (Frantar and Alistarh 2023, arXiv 2301.00774): H = 2/n sum x x^T + damping, H^-1 = U^T U.

#ifndef ESPALIER_OBS_FACTOR_H
#define ESPALIER_OBS_FACTOR_H

#include <math.h>

#include "factor.h"
#include "gram.h"

// h[n, n] = 2/n sum x x^T, with 1 on the diagonal at dead inputs; `*trace` is the sum of its diagonal.
static inline int32_t obs_hessian(const espalier_host *host, const espalier_gram *gram, double *h, double *trace) {
  const int64_t n = gram->count;
  const double scale = 2.0 / (double)gram->sequences;
  *trace = 0;
  for (int64_t i = 0; i < n; i++) {
    if (host->cancelled(host)) return ESPALIER_CANCELLED;
    for (int64_t j = 0; j < n; j++) h[i * n + j] = scale * gram->products[i * n + j];
    if (gram->products[i * n + i] == 0) h[i * n + i] = 1;
    *trace += h[i * n + i];
  }
  return ESPALIER_OK;
}

// upper[n, n] = l^T in fp32, 0 below the diagonal.
static inline int32_t obs_upper(const espalier_host *host, const char *tensor, int64_t n, const double *l,
                                float *upper, espalier_message *message) {
  for (int64_t i = 0; i < n; i++) {
    if (host->cancelled(host)) return ESPALIER_CANCELLED;
    for (int64_t j = 0; j < n; j++) upper[i * n + j] = j < i ? 0 : (float)l[j * n + i];
    if (upper[i * n + i] > 0 && isfinite(upper[i * n + i])) continue;
    return refuse(message,
                  "the factor of the inverse Hessian of %s is %g at input %lld, beyond what fp32 holds; check the "
                  "dataset", tensor, (double)upper[i * n + i], (long long)i);
  }
  return ESPALIER_OK;
}

// Writes U[n, n], row-major, 0 below the diagonal, in fp32 from a factorisation in double. The diagonal of H is 1 at
// dead inputs; the damping is `fraction` of its mean after that.
static inline int32_t obs_factor(const espalier_host *host, const espalier_linear_algebra *algebra,
                                 const espalier_matrix *matrix, double fraction, float *upper,
                                 espalier_message *message) {
  const int64_t n = matrix->gram->count;
  double *h = malloc((size_t)(n * n) * sizeof *h);
  if (h == NULL) return espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for the Hessian in double");
  double trace;
  int32_t status = obs_hessian(host, matrix->gram, h, &trace);
  double damping = fraction * trace / (double)n;
  if (status == ESPALIER_OK) status = factor_damped(host, algebra, matrix->tensor, n, h, &damping, message);
  if (status == ESPALIER_OK) status = algebra_report(algebra->cholesky_inverse_f64(host, n, h, n), message);
  if (status == ESPALIER_OK) {
    int64_t pivot = 0;
    status = algebra->cholesky_f64(host, n, h, n, &pivot);
    if (status == ESPALIER_FAILED) {
      report(message, status, "the inverse Hessian of %s is not positive definite (row %lld); give a larger damping",
             matrix->tensor, (long long)pivot);
    } else {
      status = algebra_report(status, message);
    }
  }
  if (status == ESPALIER_OK) status = obs_upper(host, matrix->tensor, n, h, upper, message);
  free(h);
  return status;
}

#endif
