/*
 * The bits of a float made to order as unsigned numbers: the sign bit flipped for positive numbers, all bits flipped
 * for negative ones. -0 is read as 0. NaN has no place in the order; callers refuse it before.
 */
#ifndef CK_ORDERED_KEY_H
#define CK_ORDERED_KEY_H

#include <stdint.h>

static inline __attribute__((always_inline)) uint32_t ck_ordered_key(float score) {
  union { float f; uint32_t u; } bits = {score + 0.0f}; /* -0 + 0 = 0 */
  return bits.u ^ ((bits.u >> 31) ? 0xffffffffu : 0x80000000u);
}

/* Columns that selection gathers at a time, so that each cache line of the scores is read once. */
enum { CK_COLUMN_BLOCK = 16 };

#endif
