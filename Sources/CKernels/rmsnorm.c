/* Root mean square normalisation (Zhang & Sennrich 2019, eq. 4), with Llama's epsilon inside the root. */
#include <math.h>

#include "clones.h"
#include "include/ckernels.h"

CK_CLONES void ck_rmsnorm_forward(float *out, const float *x, const float *restrict weight, size_t N, size_t C,
                                  float eps) {
  for (size_t n = 0; n < N; n++, x += C, out += C) {
    double lanes[CK_LANES] = {0};
    size_t c = 0;
    for (; c + CK_LANES <= C; c += CK_LANES)
      for (int l = 0; l < CK_LANES; l++) lanes[l] += (double)x[c + l] * (double)x[c + l];
    double sum = 0;
    for (int l = 0; l < CK_LANES; l++) sum += lanes[l];
    for (; c < C; c++) sum += (double)x[c] * (double)x[c];
    const float scale = (float)(1.0 / sqrt(sum / (double)C + (double)eps));
    for (c = 0; c < C; c++) out[c] = x[c] * scale * weight[c];
  }
}
