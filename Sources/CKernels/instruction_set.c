/* What the processor is: the variant of CK_CLONES that runs here, and the OpenBLAS kernels that suit it. */
#include "include/ckernels.h"

#if defined(__x86_64__)
static int has_avx512(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

const char *ck_instruction_set(void) {
  if (has_avx512()) return "avx512";
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? "avx2" : "baseline";
}

const char *ck_openblas_core(void) { return has_avx512() ? "SKYLAKEX" : 0; }
#else
const char *ck_instruction_set(void) { return "baseline"; }
const char *ck_openblas_core(void) { return 0; }
#endif
