/* Root mean square normalisation (Zhang & Sennrich 2019, eq. 4), with Llama's epsilon inside the root. */
#include "reductions.h"

/* 1 / sqrt(mean(x^2) + eps) of a row. */
static CK_INLINE real ck_inverse_rms(const real *x, size_t C, real eps) {
  return (real)(1.0 / sqrt(ck_squares(x, C) / (double)C + (double)eps));
}

void CK(rmsnorm_forward)(real *out, const real *x, const real *restrict weight, real offset, size_t N, size_t C,
                         real eps) {
  for (size_t n = 0; n < N; n++, x += C, out += C) {
    const real scale = ck_inverse_rms(x, C, eps);
    CK_EACH for (size_t c = 0; c < C; c++) out[c] = x[c] * scale * (offset + weight[c]);
  }
}

/*
 * With s = 1/rms(x) and g = dout (offset + weight):
 *   dx = s g - x s^3 mean(g x),  dweight = sum over rows of dout x s.
 */
void CK(rmsnorm_backward)(real *dx, double *restrict dweight, const real *dout, const real *x,
                          const real *restrict weight, real offset, size_t N, size_t C, real eps, int accumulate) {
  for (size_t n = 0; n < N; n++, x += C, dout += C, dx += C) {
    const real scale = ck_inverse_rms(x, C, eps);
    double lanes[CK_LANES] = {0}, sum = 0;
    size_t c = 0;
    for (; c + CK_LANES <= C; c += CK_LANES)
      for (int l = 0; l < CK_LANES; l++)
        lanes[l] += (double)(dout[c + l] * (offset + weight[c + l])) * (double)x[c + l];
    for (int l = 0; l < CK_LANES; l++) sum += lanes[l];
    for (; c < C; c++) sum += (double)(dout[c] * (offset + weight[c])) * (double)x[c];
    const real pull = (real)(sum / (double)C * (double)scale * (double)scale);
    CK_EACH for (c = 0; c < C; c++) dweight[c] += (double)(dout[c] * (x[c] * scale));
    if (accumulate) {
      CK_EACH for (c = 0; c < C; c++) dx[c] += scale * (dout[c] * (offset + weight[c]) - x[c] * pull);
    } else {
      CK_EACH for (c = 0; c < C; c++) dx[c] = scale * (dout[c] * (offset + weight[c]) - x[c] * pull);
    }
  }
}
