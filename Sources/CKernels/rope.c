/* Rotary position embedding (Su et al. 2021, section 3.4), first half of a head paired with its second half. */
#include "clones.h"
#include "include/ckernels.h"

CK_CLONES void ck_rope_forward(float *restrict x, const float *restrict cosines, const float *restrict sines, size_t T,
                               size_t H, size_t D, size_t stride) {
  const size_t half = D / 2;
  for (size_t t = 0; t < T; t++, cosines += half, sines += half)
    for (size_t h = 0; h < H; h++) {
      float *restrict first = x + t * stride + h * D, *restrict second = first + half;
      for (size_t i = 0; i < half; i++) {
        const float a = first[i], b = second[i];
        first[i] = a * cosines[i] - b * sines[i];
        second[i] = b * cosines[i] + a * sines[i];
      }
    }
}
