/* Operations that treat every element by itself. */
#include "clones.h"
#include "exponential.h"
#include "include/ckernels.h"

CK_CLONES void ck_add(float *restrict x, const float *restrict y, size_t n) {
  for (size_t i = 0; i < n; i++) x[i] += y[i];
}

CK_CLONES void ck_swiglu_forward(float *restrict gate, const float *restrict up, size_t n) {
  for (size_t i = 0; i < n; i++) gate[i] = gate[i] / (1.0f + ck_expf(-gate[i])) * up[i];
}
