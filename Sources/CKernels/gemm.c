/*
 * Matrix products of packed operands: one tile (gemm_tile.h) for several instruction sets, and the choice among them.
 *
 * The tile sizes: AVX-512 has 32 registers, of which 14 x 2 hold sums, 2 hold B and 1 a word of A; AVX2 has 16, of
 * which 6 x 2 hold sums; the plain one is written for 16 registers of 4 floats (SSE2, and good enough for NEON).
 * Measured on Zen 4: 14 x 2 does 97 to 99 % of the peak of VDPBF16PS and of the fp32 multiply-add. Sums of floats are
 * cut at 384, as OpenBLAS cuts them: longer runs were 1 % faster and rounded half as well again. 768 words of bf16 are
 * 43 KB of A, the most that pays.
 */
#include "gemm_pack.h"
#include "include/ckernels.h"

/* fp32 multiply-add: the compiler fuses it where there is an instruction for it. */
#define CK_GEMM_FLOATS(sum, a, b) ((a) * (b) + (sum))

#define CK_GEMM(name) name##_plain
#define CK_GEMM_TARGET
#define CK_GEMM_LANES 4
#define CK_GEMM_ROWS 4
#define CK_GEMM_VECTORS 2
#define CK_GEMM_DEPTH 384
#define CK_GEMM_MULTIPLY_ADD CK_GEMM_FLOATS
#include "gemm_tile.h"

static const ck_gemm float_plain = {"plain", 4, 8, 1, ck_gemm_pack_f32_plain, multiply_plain};
static const ck_gemm bf16_plain = {"plain", 4, 8, 1, ck_gemm_pack_rounded_plain, multiply_plain};

#if defined(__x86_64__)
#include <immintrin.h>

#define CK_GEMM(name) name##_avx2
#define CK_GEMM_TARGET __attribute__((target("avx2,fma")))
#define CK_GEMM_LANES 8
#define CK_GEMM_ROWS 6
#define CK_GEMM_VECTORS 2
#define CK_GEMM_DEPTH 384
#define CK_GEMM_MULTIPLY_ADD CK_GEMM_FLOATS
#include "gemm_tile.h"

#define CK_GEMM(name) name##_avx512
#define CK_GEMM_TARGET __attribute__((target("avx512f")))
#define CK_GEMM_LANES 16
#define CK_GEMM_ROWS 14
#define CK_GEMM_VECTORS 2
#define CK_GEMM_DEPTH 384
#define CK_GEMM_MULTIPLY_ADD CK_GEMM_FLOATS
#include "gemm_tile.h"

/* VDPBF16PS: sum + a0 b0 + a1 b1 of the two bf16 in each word, rounded to nearest after each; what is denormal,
 * before or after, counts as zero. */
#define CK_GEMM(name) name##_bf16
#define CK_GEMM_TARGET __attribute__((target("avx512f,avx512bf16")))
#define CK_GEMM_LANES 16
#define CK_GEMM_ROWS 14
#define CK_GEMM_VECTORS 2
#define CK_GEMM_DEPTH 768
#define CK_GEMM_MULTIPLY_ADD(sum, a, b) \
  ((floats_bf16)_mm512_dpbf16_ps((__m512)(sum), (__m512bh)(a), (__m512bh)(b)))
#include "gemm_tile.h"

static const ck_gemm float_avx2 = {"avx2", 6, 16, 1, ck_gemm_pack_f32_plain, multiply_avx2};
static const ck_gemm bf16_avx2 = {"avx2", 6, 16, 1, ck_gemm_pack_rounded_plain, multiply_avx2};
static const ck_gemm float_avx512 = {"avx512", 14, 32, 1, ck_gemm_pack_f32_avx512, multiply_avx512};
static const ck_gemm bf16_avx512 = {"avx512", 14, 32, 1, ck_gemm_pack_rounded_plain, multiply_avx512};
static const ck_gemm bf16_native = {"avx512-bf16", 14, 32, 2, ck_gemm_pack_bf16_avx512, multiply_bf16};

static int has_avx2(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static int has_avx512(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && has_avx2();
}

int ck_has_bf16(void) { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }

const ck_gemm *ck_gemm_variant(int bf16, size_t index) {
  const ck_gemm *variants[4];
  size_t count = 0;
  if (bf16 && ck_has_bf16()) variants[count++] = &bf16_native;
  if (has_avx512()) variants[count++] = bf16 ? &bf16_avx512 : &float_avx512;
  if (has_avx2()) variants[count++] = bf16 ? &bf16_avx2 : &float_avx2;
  variants[count++] = bf16 ? &bf16_plain : &float_plain;
  return index < count ? variants[index] : 0;
}
#else
int ck_has_bf16(void) { return 0; }

const ck_gemm *ck_gemm_variant(int bf16, size_t index) {
  if (index > 0) return 0;
  return bf16 ? &bf16_plain : &float_plain;
}
#endif
