/*
 * GGUF's super-blocks of 256 elements ("K-quants") to fp32. A super-block is cut into sub-blocks of 16 or 32 elements
 * with a small integer scale s, for some types also a minimum m; the super-block's fp16 numbers d and dmin turn those
 * into floats. Layouts from ggml (block_q2_K, ...), value by type, sub-blocks of:
 *   q2_k  (d s) q - dmin m     16, q of 2 bits, s and m of 4
 *   q3_k  (d (s-32)) (q-4)     16, q of 3 bits, s of 6
 *   q4_k  (d s) q - dmin m     32, q of 4 bits, s and m of 6
 *   q5_k  (d s) q - dmin m     32, q of 5 bits, s and m of 6
 *   q6_k  (d s) (q-32)         16, q of 6 bits, s of 8 with sign
 * Bytes may be unaligned. Every product is rounded, in this order, as the reference (gguf-py, numpy in fp32) does:
 * no fused multiply-add here.
 */
#include "clones.h"
#include "half.h"
#include "include/ckernels.h"

/* 16 bytes: s in the low, m in the high nibble; 64 bytes of q; d; dmin.
 * Bits 2j of bytes 32h...32h+31 are elements 128h + 32j ... */
CK_CLONES void ck_q2_k_to_f32(float *restrict out, const uint8_t *restrict in, size_t n) {
#pragma clang fp contract(off)
  for (size_t block = 0; block < n / 256; block++, in += 84, out += 256) {
    const float d = read_half(in + 80), dmin = read_half(in + 82);
    for (int sub = 0; sub < 16; sub++) {
      const float scale = d * (float)(in[sub] & 15), minimum = dmin * (float)(in[sub] >> 4);
      const uint8_t *q = in + 16 + sub / 8 * 32 + sub % 2 * 16;
      const int shift = sub / 2 % 4 * 2;
      for (int i = 0; i < 16; i++) out[sub * 16 + i] = scale * (float)(q[i] >> shift & 3) - minimum;
    }
  }
}

/* 32 bytes: bit j of byte i is the third bit of element 32j + i; 64 bytes of the lower two bits, as in q2_k; 12 bytes
 * of s: four bits each in the nibbles of the first eight, two bits each in the last four; d. */
CK_CLONES void ck_q3_k_to_f32(float *restrict out, const uint8_t *restrict in, size_t n) {
#pragma clang fp contract(off)
  for (size_t block = 0; block < n / 256; block++, in += 110, out += 256) {
    const uint8_t *scales = in + 96;
    const float d = read_half(in + 108);
    for (int sub = 0; sub < 16; sub++) {
      const int low = sub < 8 ? scales[sub] & 15 : scales[sub - 8] >> 4;
      const int high = scales[8 + sub % 4] >> sub / 4 * 2 & 3;
      const float scale = d * (float)((low | high << 4) - 32);
      const uint8_t *q = in + 32 + sub / 8 * 32 + sub % 2 * 16, *third = in + sub % 2 * 16;
      const int shift = sub / 2 % 4 * 2, bit = sub / 2;
      for (int i = 0; i < 16; i++) {
        out[sub * 16 + i] = scale * (float)((q[i] >> shift & 3) + (third[i] >> bit & 1) * 4 - 4);
      }
    }
  }
}

/* Scale and minimum of sub-block `sub` from the 12 bytes that q4_k and q5_k pack them in: of the first four in the
 * lower six bits of bytes 0-3 and 4-7; of the others the lower four bits in the nibbles of bytes 8-11, the upper two
 * on top of the first eight bytes. */
static inline __attribute__((always_inline)) void six_bits(const uint8_t *in, int sub, float *scale, float *minimum) {
  const int i = sub % 4;
  const int s = sub < 4 ? in[i] & 63 : (in[8 + i] & 15) | (in[i] >> 6 << 4);
  const int m = sub < 4 ? in[4 + i] & 63 : in[8 + i] >> 4 | (in[4 + i] >> 6 << 4);
  *scale = (float)s;
  *minimum = (float)m;
}

/* d; dmin; 12 bytes of s and m; 128 bytes: the nibbles of bytes 32h...32h+31 are elements 64h... and 64h+32... */
CK_CLONES void ck_q4_k_to_f32(float *restrict out, const uint8_t *restrict in, size_t n) {
#pragma clang fp contract(off)
  for (size_t block = 0; block < n / 256; block++, in += 144, out += 256) {
    const float d = read_half(in), dmin = read_half(in + 2);
    for (int sub = 0; sub < 8; sub++) {
      float scale, minimum;
      six_bits(in + 4, sub, &scale, &minimum);
      scale = d * scale;
      minimum = dmin * minimum;
      const uint8_t *q = in + 16 + sub / 2 * 32;
      const int shift = sub % 2 * 4;
      for (int i = 0; i < 32; i++) out[sub * 32 + i] = scale * (float)(q[i] >> shift & 15) - minimum;
    }
  }
}

/* As q4_k, with 32 bytes between scales and nibbles: bit j of byte i is the fifth bit of element 32j + i. */
CK_CLONES void ck_q5_k_to_f32(float *restrict out, const uint8_t *restrict in, size_t n) {
#pragma clang fp contract(off)
  for (size_t block = 0; block < n / 256; block++, in += 176, out += 256) {
    const float d = read_half(in), dmin = read_half(in + 2);
    const uint8_t *fifth = in + 16;
    for (int sub = 0; sub < 8; sub++) {
      float scale, minimum;
      six_bits(in + 4, sub, &scale, &minimum);
      scale = d * scale;
      minimum = dmin * minimum;
      const uint8_t *q = in + 48 + sub / 2 * 32;
      const int shift = sub % 2 * 4;
      for (int i = 0; i < 32; i++) {
        out[sub * 32 + i] = scale * (float)((q[i] >> shift & 15) | (fifth[i] >> sub & 1) << 4) - minimum;
      }
    }
  }
}

/* 128 bytes of the lower four bits: the nibbles of bytes 64h...64h+63 are elements 128h... and 128h+64...; 64 bytes of
 * the upper two: bits 2j of bytes 32h...32h+31 belong to elements 128h + 32j...; 16 x int8 s; d. */
CK_CLONES void ck_q6_k_to_f32(float *restrict out, const uint8_t *restrict in, size_t n) {
#pragma clang fp contract(off)
  for (size_t block = 0; block < n / 256; block++, in += 210, out += 256) {
    const float d = read_half(in + 208);
    for (int sub = 0; sub < 16; sub++) {
      const float scale = d * (float)(int8_t)in[192 + sub];
      const uint8_t *low = in + sub / 8 * 64 + sub % 4 * 16, *high = in + 128 + sub / 8 * 32 + sub % 2 * 16;
      const int lowShift = sub % 8 / 4 * 4, highShift = sub % 8 / 2 * 2;
      for (int i = 0; i < 16; i++) {
        out[sub * 16 + i] = scale * (float)(((low[i] >> lowShift & 15) | (high[i] >> highShift & 3) << 4) - 32);
      }
    }
  }
}
