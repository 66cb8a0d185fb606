/* Column sums of x, x^2 and |x| in double: the statistics that calibration collects of a linear map's inputs. */
#include "../kernel.h"

void CK(moments_accumulate)(double *restrict sum, double *restrict sum_of_squares,
                            double *restrict sum_of_magnitudes, const real *restrict x, size_t N, size_t stride,
                            size_t first, size_t last) {
  for (size_t n = 0; n < N; n++, x += stride)
    for (size_t c = first; c < last; c++) {
      const double value = (double)x[c];
      sum[c] += value;
      sum_of_squares[c] += value * value;
      sum_of_magnitudes[c] += fabs(value);
    }
}
