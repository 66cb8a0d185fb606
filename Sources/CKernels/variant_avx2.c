/* The kernels for processors with AVX2, FMA and F16C (x86-64-v3: Haswell 2013, Zen 2017 and later). */
#include "variants.h"

#if defined(__x86_64__)
#define CK_CONVERTS_HALVES
#define CK_SUFFIX _avx2
#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#include "all_kernels.h"
#pragma clang attribute pop
#endif
