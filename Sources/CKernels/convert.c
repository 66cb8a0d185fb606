/* Plain 16-bit floats to fp32. The block-quantised types are in convert_blocks.c and convert_superblocks.c. */
#include "clones.h"
#include "half.h"
#include "include/ckernels.h"

CK_CLONES void ck_f16_to_f32(float *restrict out, const uint16_t *restrict in, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] = half_to_float(in[i]);
}

CK_CLONES void ck_bf16_to_f32(float *restrict out, const uint16_t *restrict in, size_t n) {
  for (size_t i = 0; i < n; i++) {
    union { uint32_t u; float f; } wide = {(uint32_t)in[i] << 16};
    out[i] = wide.f;
  }
}
