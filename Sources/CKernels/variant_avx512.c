/* The kernels for processors with AVX-512 F, BW, CD, DQ and VL (x86-64-v4: Skylake-X 2017, Zen 4 2022 and later). */
#include "variants.h"

#if defined(__x86_64__)
#define CK_CONVERTS_HALVES
#define CK_SUFFIX _avx512
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4,no-prefer-256-bit"))), apply_to = function)
#include "all_kernels.h"
#pragma clang attribute pop
#endif
