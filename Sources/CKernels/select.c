/* What of selection needs no variants: the way back from a key, and the size of scratch. */
#include "include/ckernels.h"
#include "kernels/ordered_key.h"

float ck_select_score(uint32_t key) {
  union { uint32_t u; float f; } bits = {key ^ ((key >> 31) ? 0x80000000u : 0xffffffffu)};
  return bits.f;
}

size_t ck_select_columns_scratch(size_t rows) { return CK_COLUMN_BLOCK * rows; }
