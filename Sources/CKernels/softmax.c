/* Softmax over attention scores, and the running log-sum-exp of logits. Both subtract the row's maximum first. */
#include <math.h>

#include "clones.h"
#include "exponential.h"
#include "include/ckernels.h"

/* The maximum of n >= 1 values; NaN if the comparison order says so, which the sums below then carry on. */
static inline __attribute__((always_inline)) float row_maximum(const float *x, size_t n) {
  float lanes[CK_LANES];
  for (int l = 0; l < CK_LANES; l++) lanes[l] = x[0];
  size_t i = 0;
  for (; i + CK_LANES <= n; i += CK_LANES)
    for (int l = 0; l < CK_LANES; l++) lanes[l] = x[i + l] > lanes[l] ? x[i + l] : lanes[l];
  float maximum = lanes[0];
  for (int l = 1; l < CK_LANES; l++) maximum = lanes[l] > maximum ? lanes[l] : maximum;
  for (; i < n; i++) maximum = x[i] > maximum ? x[i] : maximum;
  return maximum;
}

CK_CLONES void ck_causal_softmax_forward(float *scores, size_t rows, size_t columns, size_t first, size_t stride,
                                         float scale) {
  for (size_t r = 0; r < rows; r++, scores += stride) {
    const size_t seen = first + r + 1 < columns ? first + r + 1 : columns;
    const float maximum = row_maximum(scores, seen);
    float lanes[CK_LANES] = {0}, sum = 0;
    size_t c = 0;
    for (; c + CK_LANES <= seen; c += CK_LANES)
      for (int l = 0; l < CK_LANES; l++) {
        const float e = ck_expf((scores[c + l] - maximum) * scale);
        scores[c + l] = e;
        lanes[l] += e;
      }
    for (int l = 0; l < CK_LANES; l++) sum += lanes[l];
    for (; c < seen; c++) sum += scores[c] = ck_expf((scores[c] - maximum) * scale);
    const float inverse = 1.0f / sum;
    for (c = 0; c < seen; c++) scores[c] *= inverse;
    for (; c < columns; c++) scores[c] = 0.0f;
  }
}

CK_CLONES void ck_logsumexp_update(float *maximum, double *sum, const float *logits, size_t n) {
  const float slice_maximum = row_maximum(logits, n);
  if (!(slice_maximum <= *maximum)) { /* also when either is NaN, which then stays */
    *sum *= exp((double)*maximum - (double)slice_maximum);
    *maximum = slice_maximum;
  }
  size_t i = 0;
  while (i + CK_LANES <= n) { /* float lanes over short runs, their sum in double */
    float lanes[CK_LANES] = {0};
    const size_t end = i + 64 * CK_LANES < n ? i + 64 * CK_LANES : n;
    for (; i + CK_LANES <= end; i += CK_LANES)
      for (int l = 0; l < CK_LANES; l++) lanes[l] += ck_expf(logits[i + l] - *maximum);
    for (int l = 0; l < CK_LANES; l++) *sum += (double)lanes[l];
  }
  for (; i < n; i++) *sum += (double)ck_expf(logits[i] - *maximum);
}
