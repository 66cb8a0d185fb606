/* What the processor is: the variant of CK_CLONES that runs here, and the OpenBLAS kernels that suit it. */
#include "include/ckernels.h"

#if defined(__x86_64__)
#include <cpuid.h>

static int has_avx512(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

/* AMD's family 19h (Zen 4) runs each 512-bit instruction as two halves. */
static int splits_avx512(void) {
  unsigned a, b, c, d;
  if (!__get_cpuid(0, &a, &b, &c, &d) || b != signature_AMD_ebx) return 0;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
  return ((a >> 8) & 15) + ((a >> 20) & 255) == 0x19;
}

const char *ck_instruction_set(void) {
  if (has_avx512()) return "avx512";
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? "avx2" : "baseline";
}

const char *ck_openblas_core(void) {
  if (!has_avx512()) return 0;
  return splits_avx512() ? "HASWELL" : "SKYLAKEX";
}
#else
const char *ck_instruction_set(void) { return "baseline"; }
const char *ck_openblas_core(void) { return 0; }
#endif
