/*
 * Rows of a weight matrix times a few vectors, for decoding: bound by the speed at which the weights come from memory.
 *
 * Each dot product is summed in CK_WIDTH lanes along the columns, the lanes in a fixed order, then the columns that
 * fill no vector; so a result does not depend on how many rows or vectors are computed together. The weights are read
 * once: a few rows at a time meet all vectors, four by four, while they are in the first-level cache.
 */
#include "../kernel.h"

/* Rows that are computed together: a strip. While it is computed, the one after the next is fetched, in the order of
 * memory. */
enum { CK_DOT_ROWS = 4, CK_CACHE_LINE = 64 };

enum ck_stored { CK_STORED_F32, CK_STORED_BF16, CK_STORED_F16 };

static CK_INLINE size_t ck_stored_size(enum ck_stored type) { return type == CK_STORED_F32 ? 4 : 2; }

/* CK_WIDTH stored values at any address as floats. */
static CK_INLINE void ck_load_stored(ck_vector *values, enum ck_stored type, const uint8_t *w) {
  if (type == CK_STORED_F32) {
    memcpy(values, w, sizeof *values);
    return;
  }
#ifdef CK_CONVERTS_HALVES
  if (type == CK_STORED_F16) {
    _Float16 __attribute__((vector_size(CK_WIDTH * 2))) halves;
    memcpy(&halves, w, sizeof halves);
    *values = __builtin_convertvector(halves, ck_vector);
    return;
  }
#endif
  ck_halves halves;
  memcpy(&halves, w, sizeof halves);
  const ck_words words = __builtin_convertvector(halves, ck_words);
  if (type == CK_STORED_BF16) {
    *values = (ck_vector)(words << 16);
    return;
  }
  /* fp16 by bits: the exponent re-biased in one multiplication, which also renormalises subnormals. */
  const ck_vector magnitudes = (ck_vector)((words & 0x7fff) << 13) * 0x1p112f;
  const ck_words infinite = (ck_words)((words & 0x7c00) == 0x7c00) & 0x7f800000u;
  *values = (ck_vector)((ck_words)magnitudes | infinite | ((words & 0x8000) << 16));
}

static CK_INLINE float ck_stored_value(enum ck_stored type, const uint8_t *w) {
  if (type == CK_STORED_F32) {
    float value;
    memcpy(&value, w, sizeof value);
    return value;
  }
  uint16_t stored;
  memcpy(&stored, w, sizeof stored);
  union { uint32_t u; float f; } bits = {(uint32_t)stored << 16};
  if (type == CK_STORED_BF16) return bits.f;
  bits.u = (uint32_t)(stored & 0x7fff) << 13;
  bits.f *= 0x1p112f;
  bits.u |= ((stored & 0x7c00) == 0x7c00 ? 0x7f800000u : 0) | (uint32_t)(stored & 0x8000) << 16;
  return bits.f;
}

/* `R` rows from w times `M` vectors from x. R and M are constants wherever this is called. */
static CK_INLINE void ck_dot_block(const int R, const int M, float *out, size_t ldo, enum ck_stored type,
                                   const uint8_t *w, size_t row_bytes, size_t columns, const float *x, size_t ldx,
                                   const int fetches) {
  const size_t size = ck_stored_size(type);
  ck_vector sums[CK_DOT_ROWS][4] = {{{0}}};
  size_t c = 0;
  const uint8_t *next = w + 2 * R * row_bytes;
  for (; c + CK_WIDTH <= columns; c += CK_WIDTH) {
    ck_vector inputs[4];
    for (int line = 0; line < (int)(R * CK_WIDTH * size) / CK_CACHE_LINE; line++, next += CK_CACHE_LINE)
      if (fetches) __builtin_prefetch(next, 0, 2);
    for (int m = 0; m < M; m++) memcpy(&inputs[m], x + m * ldx + c, sizeof inputs[m]);
    for (int r = 0; r < R; r++) {
      const uint8_t *place = w + r * row_bytes + c * size;
      ck_vector weights;
      ck_load_stored(&weights, type, place);
      for (int m = 0; m < M; m++) sums[r][m] += weights * inputs[m];
    }
  }
  for (int r = 0; r < R; r++)
    for (int m = 0; m < M; m++) {
      float sum = ck_vector_sum(&sums[r][m]);
      for (size_t rest = c; rest < columns; rest++)
        sum += ck_stored_value(type, w + r * row_bytes + rest * size) * x[m * ldx + rest];
      out[m * ldo + r] = sum;
    }
}

/* R rows times all N vectors. */
static CK_INLINE void ck_dot_strip(const int R, float *out, size_t ldo, enum ck_stored type, const uint8_t *w,
                                   size_t row_bytes, size_t columns, const float *x, size_t ldx, size_t N) {
#define CK_BLOCK(M, fetches) \
  ck_dot_block(R, M, out + n * ldo, ldo, type, w, row_bytes, columns, x + n * ldx, ldx, fetches)
  size_t n = 0;
  if (N >= 4) CK_BLOCK(4, 1), n = 4;
  else if (N >= 2) CK_BLOCK(2, 1), n = 2;
  for (; n + 4 <= N; n += 4) CK_BLOCK(4, 0);
  if (n + 2 <= N) CK_BLOCK(2, 0), n += 2;
  if (n < N) CK_BLOCK(1, 1);
#undef CK_BLOCK
}

static CK_INLINE void ck_dot_rows(float *out, size_t ldo, enum ck_stored type, const void *w, size_t ldw, size_t rows,
                                  size_t columns, const float *x, size_t ldx, size_t N) {
  const size_t row_bytes = ldw * ck_stored_size(type);
  const uint8_t *bytes = w;
  size_t r = 0;
  for (; r + CK_DOT_ROWS <= rows; r += CK_DOT_ROWS)
    ck_dot_strip(CK_DOT_ROWS, out + r, ldo, type, bytes + r * row_bytes, row_bytes, columns, x, ldx, N);
  for (; r < rows; r++) ck_dot_strip(1, out + r, ldo, type, bytes + r * row_bytes, row_bytes, columns, x, ldx, N);
}

void CK(dot_rows_f32)(float *out, size_t ldo, const float *w, size_t ldw, size_t rows, size_t columns, const float *x,
                      size_t ldx, size_t N) {
  ck_dot_rows(out, ldo, CK_STORED_F32, w, ldw, rows, columns, x, ldx, N);
}

void CK(dot_rows_bf16)(float *out, size_t ldo, const uint16_t *w, size_t ldw, size_t rows, size_t columns,
                       const float *x, size_t ldx, size_t N) {
  ck_dot_rows(out, ldo, CK_STORED_BF16, w, ldw, rows, columns, x, ldx, N);
}

void CK(dot_rows_f16)(float *out, size_t ldo, const uint16_t *w, size_t ldw, size_t rows, size_t columns,
                      const float *x, size_t ldx, size_t N) {
  ck_dot_rows(out, ldo, CK_STORED_F16, w, ldw, rows, columns, x, ldx, N);
}
