// factor.h: the Cholesky factor of a damped Gram matrix, with more damping where it must be, never in silence.

#ifndef ESPALIER_SUPPORT_FACTOR_H
#define ESPALIER_SUPPORT_FACTOR_H

#include <stdlib.h>

#include "algebra.h"

// How often the damping is raised tenfold before the method gives up.
#define FACTOR_RAISES 3

// Factors a[n, n] + damping * I = l l^T. On entry both triangles of `a` hold the symmetric matrix; on exit the lower
// one holds l and the strict upper one is as it was. Where the sum is not positive definite the damping grows tenfold
// (from 1 % of the mean diagonal if it was 0), each time with the diagnostic "dampingRaised"; `*damping` is what was
// used.
static inline int32_t factor_damped(const espalier_host *host, const espalier_linear_algebra *algebra,
                                    const char *tensor, int64_t n, double *a, double *damping,
                                    espalier_message *message) {
  double *diagonal = malloc((size_t)n * sizeof *diagonal);
  if (diagonal == NULL) return espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for a diagonal");
  double trace = 0;
  for (int64_t i = 0; i < n; i++) trace += diagonal[i] = a[i * n + i];

  int32_t status = ESPALIER_OK;
  int64_t pivot = 0;
  for (int raise = 0; raise <= FACTOR_RAISES; raise++) {
    if (raise > 0) {
      *damping = *damping > 0 ? 10 * *damping : 0.01 * trace / (double)n;
      diagnose(host, ESPALIER_LOG_WARNING, "dampingRaised", tensor,
               "the damped Gram matrix of the inputs is not positive definite (row %lld); damping raised to %.3g, "
               "which is %.3g of the mean diagonal", (long long)pivot, *damping, *damping * (double)n / trace);
    }
    for (int64_t i = 0; i < n; i++) {
      for (int64_t j = 0; j < i && raise > 0; j++) a[i * n + j] = a[j * n + i];
      a[i * n + i] = diagonal[i] + *damping;
    }
    status = algebra->cholesky_f64(host, n, a, n, &pivot);
    if (status != ESPALIER_FAILED) break;
  }
  free(diagonal);
  if (status != ESPALIER_FAILED) return algebra_report(status, message);
  return report(message, status,
                "the Gram matrix of the inputs of %s is not positive definite (row %lld) even with a damping of %.3g; "
                "calibrate with more tokens, or give a larger damping", tensor, (long long)pivot, *damping);
}

#endif
