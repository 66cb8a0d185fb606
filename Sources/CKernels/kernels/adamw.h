/* AdamW (Loshchilov & Hutter 2019, alg. 2) in the algebra of torch.optim.AdamW, one tensor at a time, not amsgrad. */
#include "../kernel.h"

/* The step's constants, in the type that it is computed in. */
struct ck_adamw_constants {
  real rest1, rest2, shrink, rate, root, epsilon, gradient_scale;
};

/* `count` <= 32 weights, whose kept bits are those of one word. `count` is a constant 32 wherever it can be. */
static CK_INLINE void ck_adamw_word(real *restrict p, real *restrict m, real *restrict v, const real *restrict g,
                                    uint32_t bits, uint32_t count, const struct ck_adamw_constants *k) {
  CK_EACH for (uint32_t i = 0; i < count; i++) { /* the square root here, unlike sqrtf, sets no errno */
    const real gradient = g[i] * k->gradient_scale;
    const real mean = m[i] + k->rest1 * (gradient - m[i]);
    const real square = v[i] + k->rest2 * (gradient * gradient - v[i]); /* never below 0 */
    const real next = p[i] * k->shrink - k->rate * (mean / (__builtin_elementwise_sqrt(square) / k->root + k->epsilon));
    const int stays = bits >> i & 1;
    m[i] = stays ? mean : 0;
    v[i] = stays ? square : 0;
    p[i] = stays ? next : 0;
  }
}

void CK(adamw_step)(real *restrict p, real *restrict m, real *restrict v, const real *restrict g,
                    const uint8_t *restrict kept, size_t n, const struct ck_adamw *options) {
  const struct ck_adamw_constants k = {
      .rest1 = (real)options->rest1,
      .rest2 = (real)options->rest2,
      .shrink = (real)(1.0 - (double)options->learning_rate * (double)options->decay),
      .rate = (real)((double)options->learning_rate / (double)options->bias1),
      .root = (real)sqrt((double)options->bias2),
      .epsilon = (real)options->epsilon,
      .gradient_scale = (real)options->gradient_scale,
  };
  uint32_t bits = UINT32_MAX;
  size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    if (kept) memcpy(&bits, kept + i / 8, 4);
    ck_adamw_word(p + i, m + i, v + i, g + i, bits, 32, &k);
  }
  if (kept) memcpy(&bits, kept + i / 8, (n - i + 7) / 8);
  ck_adamw_word(p + i, m + i, v + i, g + i, bits, (uint32_t)(n - i), &k);
}
