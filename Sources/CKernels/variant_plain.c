/* The kernels for every processor of its kind: plain C on x86-64 (SSE2), NEON on arm64. */
#include "variants.h"

#if defined(__aarch64__)
#define CK_CONVERTS_HALVES
#endif
#define CK_SUFFIX _plain
#include "all_kernels.h"
