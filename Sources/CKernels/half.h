/* fp16 to fp32, for the kernels that read storage: inline, so that each is compiled for its caller's instructions. */
#ifndef CK_HALF_H
#define CK_HALF_H

#include <stdint.h>
#include <string.h>

/* By bits: the exponent is re-biased in one multiplication, which also renormalises subnormals. */
static inline __attribute__((always_inline)) float half_to_float(uint16_t h) {
  union { uint32_t u; float f; } magnitude = {(uint32_t)(h & 0x7fff) << 13};
  union { uint32_t u; float f; } rebias = {(254u - 15u) << 23};
  union { float f; uint32_t u; } value = {magnitude.f * rebias.f};
  const uint32_t infinite = (h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0;
  union { uint32_t u; float f; } result = {value.u | infinite | ((uint32_t)(h & 0x8000) << 16)};
  return result.f;
}

/* The half at `in`, which may be unaligned. */
static inline __attribute__((always_inline)) float read_half(const uint8_t *in) {
  uint16_t h;
  memcpy(&h, in, sizeof h);
  return half_to_float(h);
}

#endif
