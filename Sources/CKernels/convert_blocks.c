/*
 * GGUF's blocks of 32 elements to fp32. Layouts from the GGUF specification (ggml's block_q8_0, block_q4_0, ...):
 *   q8_0  d:fp16, 32 x int8
 *   q4_0  d:fp16, 16 bytes: element i is the low nibble of byte i, element i+16 its high nibble
 *   q4_1  d:fp16, m:fp16, 16 bytes likewise
 *   q5_0  d:fp16, 32 bits: bit i is the fifth bit of element i, 16 bytes likewise
 *   q5_1  d:fp16, m:fp16, 32 bits, 16 bytes likewise
 * Bytes may be unaligned, as files have them. Where m is added, the product is rounded first, as the reference
 * (gguf-py, numpy in fp32) does: no fused multiply-add here.
 */
#include <string.h>

#include "clones.h"
#include "half.h"
#include "include/ckernels.h"

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

CK_CLONES void ck_q5_0_to_f32(float *restrict out, const uint8_t *restrict in, size_t n) {
  for (size_t block = 0; block < n / 32; block++, in += 22, out += 32) {
    const float d = read_half(in);
    uint32_t high;
    memcpy(&high, in + 2, sizeof high);
    for (int i = 0; i < 16; i++) {
      out[i] = d * (float)((int)((in[6 + i] & 15) | (high >> i & 1) << 4) - 16);
      out[i + 16] = d * (float)((int)(in[6 + i] >> 4 | (high >> (i + 16) & 1) << 4) - 16);
    }
  }
}

CK_CLONES void ck_q5_1_to_f32(float *restrict out, const uint8_t *restrict in, size_t n) {
#pragma clang fp contract(off)
  for (size_t block = 0; block < n / 32; block++, in += 24, out += 32) {
    const float d = read_half(in), m = read_half(in + 2);
    uint32_t high;
    memcpy(&high, in + 4, sizeof high);
    for (int i = 0; i < 16; i++) {
      out[i] = d * (float)(int)((in[8 + i] & 15) | (high >> i & 1) << 4) + m;
      out[i + 16] = d * (float)(int)(in[8 + i] >> 4 | (high >> (i + 16) & 1) << 4) + m;
    }
  }
}
