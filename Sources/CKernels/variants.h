/* The tables of the variants, defined by variant_*.c, for dispatch.c. */
#ifndef CK_VARIANTS_H
#define CK_VARIANTS_H

#include "include/ckernels_variants.h"
#include "kernel.h"

extern const struct ck_kernels ck_kernels_plain;
#if defined(__x86_64__)
extern const struct ck_kernels ck_kernels_avx2, ck_kernels_avx512;
#endif

#endif
