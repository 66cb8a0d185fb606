/* AdamW (Loshchilov & Hutter 2019, alg. 2) in the algebra of torch.optim.AdamW, one tensor at a time, not amsgrad. */
#include "../kernel.h"

#ifdef CK_DOUBLE
#define CK_SQRT sqrt
#else
#define CK_SQRT sqrtf
#endif

void CK(adamw_step)(real *restrict p, real *restrict m, real *restrict v, const real *restrict g,
                    const uint8_t *restrict kept, size_t n, const struct ck_adamw *options) {
  const real beta1 = (real)options->beta1, beta2 = (real)options->beta2;
  const real rest1 = (real)(1.0 - (double)options->beta1), rest2 = (real)(1.0 - (double)options->beta2);
  const real shrink = (real)(1.0 - (double)options->learning_rate * (double)options->decay);
  const real rate = (real)((double)options->learning_rate / (double)options->bias1);
  const real root = (real)sqrt((double)options->bias2);
  const real epsilon = (real)options->epsilon, gradient_scale = (real)options->gradient_scale;
  for (size_t start = 0; start < n; start += 32) { /* 32 weights, one word of bits */
    const size_t count = n - start < 32 ? n - start : 32;
    uint32_t bits = UINT32_MAX;
    if (kept) memcpy(&bits, kept + start / 8, (count + 7) / 8);
    for (size_t l = 0; l < count; l++) {
      const size_t i = start + l;
      const real gradient = g[i] * gradient_scale;
      const real mean = beta1 * m[i] + rest1 * gradient, square = beta2 * v[i] + rest2 * gradient * gradient;
      const real next = p[i] * shrink - rate * (mean / (CK_SQRT(square) / root + epsilon));
      const int stays = (bits >> l) & 1;
      m[i] = stays ? mean : 0;
      v[i] = stays ? square : 0;
      p[i] = stays ? next : 0;
    }
  }
}

#undef CK_SQRT
