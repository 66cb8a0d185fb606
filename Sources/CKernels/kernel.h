/*
 * What kernel sources (kernels/) are written with. Each of them is compiled several times, once for each instruction
 * set (variant_*.c) and once with `real` = double for the gradient tests, so:
 * - a function is called CK(name), which becomes ck_name_avx2 and so on; helpers are `static CK_INLINE`;
 * - floating-point values are of type `real`, constants are written (real)0.5;
 * - loops are plain C that the compiler vectorises: no branches that depend on data; sums in a fixed number of lanes,
 *   so that they are the same wherever they run, but for fused multiply-adds that plain x86-64 lacks.
 */
#ifndef CK_KERNEL_H
#define CK_KERNEL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "include/ckernels.h"

#ifdef CK_DOUBLE
typedef double real;
#else
typedef float real;
#endif

#define CK_PASTE_EXPANDED(name, suffix) ck_##name##suffix
#define CK_PASTE(name, suffix) CK_PASTE_EXPANDED(name, suffix)
#define CK(name) CK_PASTE(name, CK_SUFFIX)

#define CK_INLINE inline __attribute__((always_inline))

/* Before a loop whose iterations do not depend on each other: its pointers are equal or do not overlap. The compiler
 * then vectorises without asking, also in place; that it cannot is an error. */
#ifdef CK_DOUBLE
#define CK_EACH
#else
#define CK_EACH _Pragma("clang loop vectorize(assume_safety)")
#endif

/* Lanes of a reduction: enough for two AVX-512 registers. */
#ifndef CK_CLONES_H
enum { CK_LANES = 32 };
#endif

/* Sixteen values as one: an AVX-512 register, or as many smaller ones as the processor needs. Passed by pointer. */
enum { CK_WIDTH = 16 };
typedef real ck_vector __attribute__((vector_size(CK_WIDTH * sizeof(real))));
typedef uint32_t ck_words __attribute__((vector_size(CK_WIDTH * 4)));
typedef uint16_t ck_halves __attribute__((vector_size(CK_WIDTH * 2)));

/* The sum of the lanes, in a fixed order. */
static CK_INLINE real ck_vector_sum(const ck_vector *v) {
  real sum = 0;
  for (int half = CK_WIDTH / 2, l = 0; l < half; l++) sum += (*v)[l] + (*v)[l + half];
  return sum;
}

#endif
