/* A weighted sum of rows: what attention does with the values when one token is decoded. */
#include "../kernel.h"

/* Sums over t in order, in registers: 4 vectors of a row at a time, then one, then single columns. */
void CK(weighted_rows)(real *restrict out, const real *restrict p, const real *restrict v, size_t ldv, size_t T,
                       size_t D) {
  size_t d = 0;
  for (; d + 4 * CK_WIDTH <= D; d += 4 * CK_WIDTH) {
    ck_vector sums[4] = {{0}};
    for (size_t t = 0; t < T; t++)
      for (int b = 0; b < 4; b++) {
        ck_vector row;
        memcpy(&row, v + t * ldv + d + b * CK_WIDTH, sizeof row);
        sums[b] += p[t] * row;
      }
    memcpy(out + d, sums, sizeof sums);
  }
  for (; d + CK_WIDTH <= D; d += CK_WIDTH) {
    ck_vector sum = {0};
    for (size_t t = 0; t < T; t++) {
      ck_vector row;
      memcpy(&row, v + t * ldv + d, sizeof row);
      sum += p[t] * row;
    }
    memcpy(out + d, &sum, sizeof sum);
  }
  for (; d < D; d++) {
    real sum = 0;
    for (size_t t = 0; t < T; t++) sum += p[t] * v[t * ldv + d];
    out[d] = sum;
  }
}
