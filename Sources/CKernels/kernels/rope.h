/* Rotary position embedding (Su et al. 2021, section 3.4), first half of a head paired with its second half. */
#include "../kernel.h"

void CK(rope_forward)(real *restrict x, const real *restrict cosines, const real *restrict sines, size_t T, size_t H,
                      size_t D, size_t stride) {
  const size_t half = D / 2;
  for (size_t t = 0; t < T; t++, cosines += half, sines += half)
    for (size_t h = 0; h < H; h++) {
      real *restrict first = x + t * stride + h * D, *restrict second = first + half;
      for (size_t i = 0; i < half; i++) {
        const real a = first[i], b = second[i];
        first[i] = a * cosines[i] - b * sines[i];
        second[i] = b * cosines[i] + a * sines[i];
      }
    }
}

/* A rotation's transpose is the rotation back. */
void CK(rope_backward)(real *restrict dx, const real *restrict cosines, const real *restrict sines, size_t T, size_t H,
                       size_t D, size_t stride) {
  const size_t half = D / 2;
  for (size_t t = 0; t < T; t++, cosines += half, sines += half)
    for (size_t h = 0; h < H; h++) {
      real *restrict first = dx + t * stride + h * D, *restrict second = first + half;
      for (size_t i = 0; i < half; i++) {
        const real a = first[i], b = second[i];
        first[i] = a * cosines[i] + b * sines[i];
        second[i] = b * cosines[i] - a * sines[i];
      }
    }
}
