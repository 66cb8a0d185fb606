/* What the processor is: the variant of every kernel that runs here, and the OpenBLAS kernels that suit it. */
#include "variants.h"

static int is_supported(enum ck_level level) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
                   __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("lzcnt");
  const int avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                     __builtin_cpu_supports("avx512vl");
  return level == CK_PLAIN || (level == CK_AVX2 && avx2) || (level == CK_AVX512 && avx2 && avx512);
#else
  return level == CK_PLAIN;
#endif
}

const struct ck_kernels *ck_kernels_at(enum ck_level level) {
  if (!is_supported(level)) return 0;
#if defined(__x86_64__)
  if (level == CK_AVX512) return &ck_kernels_avx512;
  if (level == CK_AVX2) return &ck_kernels_avx2;
#endif
  return &ck_kernels_plain;
}

const char *ck_level_name(enum ck_level level) {
#if defined(__aarch64__)
  if (level == CK_PLAIN) return "neon";
#endif
  return level == CK_AVX512 ? "avx512" : level == CK_AVX2 ? "avx2" : "baseline";
}

static enum ck_level best_level(void) {
  enum ck_level level = CK_AVX512;
  while (!is_supported(level)) level--;
  return level;
}

const char *ck_instruction_set(void) { return ck_level_name(best_level()); }

const char *ck_openblas_core(void) { return is_supported(CK_AVX512) ? "SKYLAKEX" : 0; }

/* Chosen before main, never again. */
static const struct ck_kernels *chosen = &ck_kernels_plain;
__attribute__((constructor)) static void choose(void) { chosen = ck_kernels_at(best_level()); }

/* The functions of ckernels.h. */
#pragma clang diagnostic ignored "-Wpedantic" /* `return f();` of a void function, so that one macro serves all */
#define real float
#define CK_KERNEL(result, name, parameters, arguments) \
  result ck_##name parameters { return chosen->ck_##name arguments; }
#define CK_FLOAT_KERNEL CK_KERNEL
#include "kernel_list.h"
