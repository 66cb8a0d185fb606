/* Softmax over attention scores, and its gradient. The row's maximum is subtracted first. */
#include "exponential.h"
#include "reductions.h"
#include "row_maximum.h"

void CK(causal_softmax_forward)(real *scores, size_t rows, size_t columns, size_t first, size_t window, size_t stride,
                                real scale) {
  for (size_t r = 0; r < rows; r++, scores += stride) {
    const size_t position = first + r + 1, end = position < columns ? position : columns;
    const size_t oldest = window && position > window ? position - window : 0, start = oldest < end ? oldest : end;
    size_t c;
    for (c = 0; c < start; c++) scores[c] = 0;
    for (c = end; c < columns; c++) scores[c] = 0;
    if (start == end) continue;
    real *seen = scores + start;
    const size_t n = end - start;
    const real maximum = ck_row_maximum(seen, n);
    real lanes[CK_LANES] = {0}, sum = 0;
    for (c = 0; c + CK_LANES <= n; c += CK_LANES)
      for (int l = 0; l < CK_LANES; l++) {
        const real e = ck_exp((seen[c + l] - maximum) * scale);
        seen[c + l] = e;
        lanes[l] += e;
      }
    for (int l = 0; l < CK_LANES; l++) sum += lanes[l];
    for (; c < n; c++) sum += seen[c] = ck_exp((seen[c] - maximum) * scale);
    const real inverse = (real)1 / sum;
    for (c = 0; c < n; c++) seen[c] *= inverse;
  }
}

/* ds = scale p (dp - sum_c dp p). */
void CK(softmax_backward)(real *restrict dprobs, const real *restrict probs, size_t rows, size_t columns,
                          size_t stride, real scale) {
  for (size_t r = 0; r < rows; r++, dprobs += stride, probs += stride) {
    const real mean = (real)ck_product(dprobs, probs, columns);
    for (size_t c = 0; c < columns; c++) dprobs[c] = scale * probs[c] * (dprobs[c] - mean);
  }
}
