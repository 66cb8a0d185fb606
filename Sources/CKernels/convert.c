/*
 * Storage types to fp32. Block layouts from the GGUF specification (ggml's block_q8_0, block_q4_0, block_q4_1):
 *   q8_0  d:fp16, 32 x int8
 *   q4_0  d:fp16, 16 bytes: element i is the low nibble of byte i, element i+16 its high nibble
 *   q4_1  d:fp16, m:fp16, 16 bytes likewise
 * Bytes may be unaligned, as files have them.
 */
#include <string.h>

#include "clones.h"
#include "include/ckernels.h"

/* fp16 to fp32 by bits: exponent re-biased in one multiplication, which also renormalises subnormals. */
static inline __attribute__((always_inline)) float half_to_float(uint16_t h) {
  union { uint32_t u; float f; } magnitude = {(uint32_t)(h & 0x7fff) << 13};
  union { uint32_t u; float f; } rebias = {(254u - 15u) << 23};
  union { float f; uint32_t u; } value = {magnitude.f * rebias.f};
  const uint32_t infinite = (h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0;
  union { uint32_t u; float f; } result = {value.u | infinite | ((uint32_t)(h & 0x8000) << 16)};
  return result.f;
}

static inline __attribute__((always_inline)) float read_half(const uint8_t *in) {
  uint16_t h;
  memcpy(&h, in, sizeof h);
  return half_to_float(h);
}

CK_CLONES void ck_f16_to_f32(float *restrict out, const uint16_t *restrict in, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] = half_to_float(in[i]);
}

CK_CLONES void ck_bf16_to_f32(float *restrict out, const uint16_t *restrict in, size_t n) {
  for (size_t i = 0; i < n; i++) {
    union { uint32_t u; float f; } wide = {(uint32_t)in[i] << 16};
    out[i] = wide.f;
  }
}

CK_CLONES void ck_q8_0_to_f32(float *restrict out, const uint8_t *restrict in, size_t n) {
  for (size_t block = 0; block < n / 32; block++, in += 34, out += 32) {
    const float d = read_half(in);
    for (int i = 0; i < 32; i++) out[i] = d * (float)(int8_t)in[2 + i];
  }
}

CK_CLONES void ck_q4_0_to_f32(float *restrict out, const uint8_t *restrict in, size_t n) {
  for (size_t block = 0; block < n / 32; block++, in += 18, out += 32) {
    const float d = read_half(in);
    for (int i = 0; i < 16; i++) {
      out[i] = d * (float)((int)(in[2 + i] & 15) - 8);
      out[i + 16] = d * (float)((int)(in[2 + i] >> 4) - 8);
    }
  }
}

/* The product is rounded before m is added, as the reference does: no fused multiply-add here. */
CK_CLONES void ck_q4_1_to_f32(float *restrict out, const uint8_t *restrict in, size_t n) {
#pragma clang fp contract(off)
  for (size_t block = 0; block < n / 32; block++, in += 20, out += 32) {
    const float d = read_half(in), m = read_half(in + 2);
    for (int i = 0; i < 16; i++) {
      out[i] = d * (float)(in[4 + i] & 15) + m;
      out[i + 16] = d * (float)(in[4 + i] >> 4) + m;
    }
  }
}
