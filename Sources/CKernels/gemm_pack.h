/*
 * How operands of matrix products are packed (gemm_pack.c); see ck_gemm in ckernels.h. Panels of `panel` rows,
 * step after step, `panel` words to a step; rows and the second half of the last word that are not there are zero.
 */
#ifndef CK_GEMM_PACK_H
#define CK_GEMM_PACK_H

#include <stddef.h>
#include <stdint.h>

/* A word is a float as it is, ... */
void ck_gemm_pack_f32_plain(uint32_t *packed, size_t panel, const float *x, size_t row_stride, size_t column_stride,
                            size_t rows, size_t k);
void ck_gemm_pack_f32_avx512(uint32_t *packed, size_t panel, const float *x, size_t row_stride, size_t column_stride,
                             size_t rows, size_t k);
/* ... a float that bf16 could hold, ... */
void ck_gemm_pack_rounded_plain(uint32_t *packed, size_t panel, const float *x, size_t row_stride,
                                size_t column_stride, size_t rows, size_t k);
/* ... or two bf16, the first in the lower half. */
void ck_gemm_pack_bf16_avx512(uint32_t *packed, size_t panel, const float *x, size_t row_stride, size_t column_stride,
                              size_t rows, size_t k);

#endif
