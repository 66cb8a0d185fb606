/* Sums, multiples and biases: what treats every element by itself, and the column sums that biases' gradients are. */
#include "../kernel.h"

void CK(add)(real *restrict x, const real *restrict y, size_t n) {
  for (size_t i = 0; i < n; i++) x[i] += y[i];
}

void CK(axpy)(real *restrict y, real a, const real *restrict x, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] += a * x[i];
}

void CK(product_accumulate)(real *restrict sum, const real *restrict x, const real *restrict y, size_t n) {
  for (size_t i = 0; i < n; i++) sum[i] += x[i] * y[i];
}

void CK(scale)(real *x, real a, size_t n) {
  for (size_t i = 0; i < n; i++) x[i] *= a;
}

void CK(bias_forward)(real *restrict x, const real *restrict bias, size_t N, size_t C, size_t stride) {
  for (size_t n = 0; n < N; n++, x += stride)
    for (size_t c = 0; c < C; c++) x[c] += bias[c];
}

void CK(bias_backward)(double *restrict dbias, const real *restrict dout, size_t N, size_t C, size_t stride) {
  for (size_t n = 0; n < N; n++, dout += stride)
    for (size_t c = 0; c < C; c++) dbias[c] += (double)dout[c];
}
