/*
 * Each kernel's variants by instruction set, for tests that hold them against each other. The program itself calls
 * the functions of ckernels.h, which go to the best variant that the processor can run.
 */
#ifndef CKERNELS_VARIANTS_H
#define CKERNELS_VARIANTS_H

#include "ckernels.h"

/* From the slowest to the fastest. Plain is C for any x86-64 (SSE2); on arm64 it is NEON. */
enum ck_level { CK_PLAIN, CK_AVX2, CK_AVX512 };

/* One member for each kernel, named as the function: table->ck_add(x, y, n). */
struct ck_kernels {
#define real float
#define CK_KERNEL(result, name, parameters, arguments) result(*ck_##name) parameters;
#define CK_FLOAT_KERNEL CK_KERNEL
#include "../kernel_list.h"
#undef CK_FLOAT_KERNEL
#undef CK_KERNEL
#undef real
};

/* The kernels of this level, or NULL where this processor lacks its instructions. */
const struct ck_kernels *ck_kernels_at(enum ck_level level);
/* As ck_instruction_set calls it. */
const char *ck_level_name(enum ck_level level);

#endif
