/* Layer normalisation (Ba et al. 2016, eq. 4), with epsilon inside the root and the biased variance. */
#include "reductions.h"

/* The mean of a row, and 1 / sqrt(mean((x - mean)^2) + eps). */
static CK_INLINE void ck_row_statistics(double *mean, double *inverse, const real *x, size_t C, real eps) {
  double lanes[CK_LANES] = {0}, sum = 0;
  size_t c = 0;
  for (; c + CK_LANES <= C; c += CK_LANES)
    for (int l = 0; l < CK_LANES; l++) lanes[l] += (double)x[c + l];
  for (int l = 0; l < CK_LANES; l++) sum += lanes[l], lanes[l] = 0;
  for (; c < C; c++) sum += (double)x[c];
  const double middle = sum / (double)C;
  double squares = 0;
  for (c = 0; c + CK_LANES <= C; c += CK_LANES)
    for (int l = 0; l < CK_LANES; l++) {
      const double centred = (double)x[c + l] - middle;
      lanes[l] += centred * centred;
    }
  for (int l = 0; l < CK_LANES; l++) squares += lanes[l];
  for (; c < C; c++) squares += ((double)x[c] - middle) * ((double)x[c] - middle);
  *mean = middle;
  *inverse = 1.0 / sqrt(squares / (double)C + (double)eps);
}

void CK(layernorm_forward)(real *out, const real *x, const real *restrict weight, const real *restrict bias, size_t N,
                           size_t C, real eps) {
  for (size_t n = 0; n < N; n++, x += C, out += C) {
    double mean, inverse;
    ck_row_statistics(&mean, &inverse, x, C, eps);
    const real middle = (real)mean, scale = (real)inverse;
    CK_EACH for (size_t c = 0; c < C; c++) out[c] = (x[c] - middle) * scale * weight[c] + bias[c];
  }
}

/*
 * With y = (x - mean) s, s = 1/sqrt(variance + eps) and g = dout weight:
 *   dx = s (g - mean(g) - y mean(g y)),  dweight = sum over rows of dout y,  dbias = sum over rows of dout.
 */
void CK(layernorm_backward)(real *dx, double *restrict dweight, double *restrict dbias, const real *dout,
                            const real *x, const real *restrict weight, size_t N, size_t C, real eps,
                            int accumulate) {
  for (size_t n = 0; n < N; n++, x += C, dout += C, dx += C) {
    double mean, inverse;
    ck_row_statistics(&mean, &inverse, x, C, eps);
    const real middle = (real)mean, scale = (real)inverse;
    double gradients[CK_LANES] = {0}, products[CK_LANES] = {0}, gradient = 0, product = 0;
    size_t c = 0;
    for (; c + CK_LANES <= C; c += CK_LANES)
      for (int l = 0; l < CK_LANES; l++) {
        const double g = (double)(dout[c + l] * weight[c + l]);
        gradients[l] += g;
        products[l] += g * (double)((x[c + l] - middle) * scale);
      }
    for (int l = 0; l < CK_LANES; l++) gradient += gradients[l], product += products[l];
    for (; c < C; c++) {
      const double g = (double)(dout[c] * weight[c]);
      gradient += g;
      product += g * (double)((x[c] - middle) * scale);
    }
    const real shift = (real)(gradient / (double)C), pull = (real)(product / (double)C);
    CK_EACH for (c = 0; c < C; c++) {
      dweight[c] += (double)(dout[c] * ((x[c] - middle) * scale));
      dbias[c] += (double)dout[c];
    }
    if (accumulate) {
      CK_EACH for (c = 0; c < C; c++)
        dx[c] += scale * (dout[c] * weight[c] - shift - (x[c] - middle) * scale * pull);
    } else {
      CK_EACH for (c = 0; c < C; c++)
        dx[c] = scale * (dout[c] * weight[c] - shift - (x[c] - middle) * scale * pull);
    }
  }
}
