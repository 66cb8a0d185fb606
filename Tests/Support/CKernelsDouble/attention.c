/* Causal grouped-query attention with a window in plain loops. (Vaswani et al. 2017, eq. 1; Ainslie et al. 2023) */
#include <math.h>

#include "ckernels_double.h"

/* The probabilities with which position t sees positions *first ... t, for one head. */
static void probabilities(double *p, size_t *first, const double *q, const double *k, size_t t, size_t stride,
                          size_t D, size_t window) {
  double maximum = -INFINITY, sum = 0;
  *first = window && t + 1 > window ? t + 1 - window : 0;
  for (size_t s = *first; s <= t; s++) {
    p[s] = 0;
    for (size_t d = 0; d < D; d++) p[s] += q[d] * k[s * stride + d] / sqrt((double)D);
    maximum = fmax(maximum, p[s]);
  }
  for (size_t s = *first; s <= t; s++) sum += p[s] = exp(p[s] - maximum);
  for (size_t s = *first; s <= t; s++) p[s] /= sum;
}

void reference_attention_forward(double *out, const double *q, const double *k, const double *v, size_t T, size_t H,
                                 size_t KV, size_t D, size_t window, double *row) {
  for (size_t t = 0; t < T; t++)
    for (size_t h = 0; h < H; h++) {
      const size_t at = (t * H + h) * D, shared = h / (H / KV) * D;
      size_t first;
      probabilities(row, &first, q + at, k + shared, t, KV * D, D, window);
      for (size_t d = 0; d < D; d++) {
        out[at + d] = 0;
        for (size_t s = first; s <= t; s++) out[at + d] += row[s] * v[s * KV * D + shared + d];
      }
    }
}

void reference_attention_backward(double *dq, double *dk, double *dv, const double *dout, const double *q,
                                  const double *k, const double *v, size_t T, size_t H, size_t KV, size_t D,
                                  size_t window, double *row) {
  for (size_t i = 0; i < T * KV * D; i++) dk[i] = dv[i] = 0;
  double *dp = row + T;
  for (size_t t = 0; t < T; t++)
    for (size_t h = 0; h < H; h++) {
      const size_t at = (t * H + h) * D, shared = h / (H / KV) * D;
      size_t first;
      probabilities(row, &first, q + at, k + shared, t, KV * D, D, window);
      double mean = 0;
      for (size_t s = first; s <= t; s++) {
        dp[s] = 0;
        for (size_t d = 0; d < D; d++) {
          dp[s] += dout[at + d] * v[s * KV * D + shared + d];
          dv[s * KV * D + shared + d] += row[s] * dout[at + d];
        }
        mean += row[s] * dp[s];
      }
      for (size_t d = 0; d < D; d++) dq[at + d] = 0;
      for (size_t s = first; s <= t; s++) {
        const double ds = row[s] * (dp[s] - mean) / sqrt((double)D);
        for (size_t d = 0; d < D; d++) {
          dq[at + d] += ds * k[s * KV * D + shared + d];
          dk[s * KV * D + shared + d] += ds * q[at + d];
        }
      }
    }
}
