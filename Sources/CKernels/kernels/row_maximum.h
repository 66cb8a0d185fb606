/* The maximum of a row, for those who subtract it before exp. */
#ifndef CK_ROW_MAXIMUM_H
#define CK_ROW_MAXIMUM_H

#include "../kernel.h"

/* The maximum of n >= 1 values; NaN if the comparison order says so, which the sums of exp then carry on. */
static CK_INLINE real ck_row_maximum(const real *x, size_t n) {
  real lanes[CK_LANES];
  for (int l = 0; l < CK_LANES; l++) lanes[l] = x[0];
  size_t i = 0;
  for (; i + CK_LANES <= n; i += CK_LANES)
    for (int l = 0; l < CK_LANES; l++) lanes[l] = x[i + l] > lanes[l] ? x[i + l] : lanes[l];
  real maximum = lanes[0];
  for (int l = 1; l < CK_LANES; l++) maximum = lanes[l] > maximum ? lanes[l] : maximum;
  for (; i < n; i++) maximum = x[i] > maximum ? x[i] : maximum;
  return maximum;
}

#endif
