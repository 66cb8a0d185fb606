/* Sums over a vector, in double in a fixed number of lanes. */
#ifndef CK_REDUCTIONS_H
#define CK_REDUCTIONS_H

#include "../kernel.h"

/* sum of x^2. */
static CK_INLINE double ck_squares(const real *x, size_t n) {
  double lanes[CK_LANES] = {0};
  size_t c = 0;
  for (; c + CK_LANES <= n; c += CK_LANES)
    for (int l = 0; l < CK_LANES; l++) lanes[l] += (double)x[c + l] * (double)x[c + l];
  double sum = 0;
  for (int l = 0; l < CK_LANES; l++) sum += lanes[l];
  for (; c < n; c++) sum += (double)x[c] * (double)x[c];
  return sum;
}

/* sum of x y. */
static CK_INLINE double ck_product(const real *x, const real *y, size_t n) {
  double lanes[CK_LANES] = {0};
  size_t c = 0;
  for (; c + CK_LANES <= n; c += CK_LANES)
    for (int l = 0; l < CK_LANES; l++) lanes[l] += (double)x[c + l] * (double)y[c + l];
  double sum = 0;
  for (int l = 0; l < CK_LANES; l++) sum += lanes[l];
  for (; c < n; c++) sum += (double)x[c] * (double)y[c];
  return sum;
}

double CK(sum_of_squares)(const real *x, size_t n) { return ck_squares(x, n); }
double CK(dot)(const real *x, const real *y, size_t n) { return ck_product(x, y, n); }

#endif
