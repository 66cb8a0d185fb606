/*
 * Packing operands of matrix products: panels of rows, interleaved so that a tile reads both operands straight on.
 *
 * Rounding to bf16 is to nearest, ties to even; a denormal becomes a zero of its sign and NaN stays a (quiet) NaN, as
 * the instruction VCVTNE2PS2BF16 has it, so that every variant computes with the same values.
 */
#include "gemm_pack.h"

#include <string.h>

#include "clones.h"

/* The bits of x rounded to bf16, as fp32. */
static inline __attribute__((always_inline)) uint32_t rounded(uint32_t x) {
  const uint32_t magnitude = x & 0x7fffffffu;
  const uint32_t nearest = (x + 0x7fffu + ((x >> 16) & 1u)) & 0xffff0000u;
  const uint32_t quiet = (x & 0xffff0000u) | 0x00400000u;
  const uint32_t kept = magnitude > 0x7f800000u ? quiet : nearest;
  return magnitude < 0x00800000u ? x & 0x80000000u : kept;
}

/* One word a step. Rows lie side by side in memory or apart; either way each panel is written front to back. */
static inline __attribute__((always_inline)) void pack_plain(uint32_t *packed, size_t panel, const float *x,
                                                             size_t row_stride, size_t column_stride, size_t rows,
                                                             size_t k, int rounding) {
  for (size_t first = 0; first < rows; first += panel) {
    const size_t there = rows - first < panel ? rows - first : panel;
    for (size_t p = 0; p < k; p++, packed += panel) {
      const float *column = x + first * row_stride + p * column_stride;
      for (size_t i = 0; i < there; i++) {
        uint32_t word;
        memcpy(&word, column + i * row_stride, sizeof word);
        packed[i] = rounding ? rounded(word) : word;
      }
      for (size_t i = there; i < panel; i++) packed[i] = 0;
    }
  }
}

void ck_gemm_pack_f32_plain(uint32_t *restrict packed, size_t panel, const float *restrict x, size_t row_stride,
                            size_t column_stride, size_t rows, size_t k) {
  pack_plain(packed, panel, x, row_stride, column_stride, rows, k, 0);
}

void ck_gemm_pack_rounded_plain(uint32_t *restrict packed, size_t panel, const float *restrict x, size_t row_stride,
                                size_t column_stride, size_t rows, size_t k) {
  pack_plain(packed, panel, x, row_stride, column_stride, rows, k, 1);
}

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw")))
#define AVX512_BF16 __attribute__((target("avx512f,avx512bw,avx512bf16")))
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

/* The first `count` of 16 lanes. */
INLINE uint32_t lanes(size_t count) { return count >= 16 ? 0xffffu : (1u << count) - 1u; }

/* Transposes 16 registers of 16 words: in pairs of rows, of pairs, of quarters, of halves. */
AVX512 INLINE void transpose(__m512i r[16]) {
  __m512i t[16];
  UNROLL for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  UNROLL for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  UNROLL for (int i = 0; i < 4; i++) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  UNROLL for (int i = 0; i < 4; i++) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

/* 16 words of a row: 16 floats, or 32 rounded to bf16, of which `count` are there. */
#define READ_F32(x, count) _mm512_maskz_loadu_epi32((__mmask16)lanes(count), x)
#define READ_BF16(x, count)                                                                              \
  ((__m512i)_mm512_cvtne2ps_pbh(                                                                         \
      _mm512_maskz_loadu_ps((__mmask16)((count) > 16 ? lanes((count) - 16) : 0), (const float *)(x) + 16), \
      _mm512_maskz_loadu_ps((__mmask16)lanes(count), x)))

/* 16 words of a step, of 16 rows side by side: their floats at `x`, or those and the ones at `next` rounded to bf16.
 * Rows `mask`; `more`: there is a next. */
#define SIDE_F32(x, next, more, mask, order) _mm512_maskz_loadu_epi32(mask, x)
#define SIDE_BF16(x, next, more, mask, order)                                                          \
  _mm512_permutexvar_epi16(                                                                            \
      order, (__m512i)_mm512_cvtne2ps_pbh((more) ? _mm512_maskz_loadu_ps(mask, next) : _mm512_setzero_ps(), \
                                          _mm512_maskz_loadu_ps(mask, x)))

#define CK_PACK(name) name##_f32_avx512
#define CK_PACK_TARGET AVX512
#define CK_PACK_PER 1
#define CK_PACK_READ READ_F32
#define CK_PACK_SIDE SIDE_F32
#include "gemm_pack_avx512.h"

#define CK_PACK(name) name##_bf16_avx512
#define CK_PACK_TARGET AVX512_BF16
#define CK_PACK_PER 2
#define CK_PACK_READ READ_BF16
#define CK_PACK_SIDE SIDE_BF16
#include "gemm_pack_avx512.h"
#endif
