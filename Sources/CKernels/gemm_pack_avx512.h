/*
 * Packing with AVX-512, for one kind of word. No include guard: gemm_pack.c includes it once for each, after defining
 *   CK_PACK(name), CK_PACK_TARGET   the name with the variant's ending, the target attribute
 *   CK_PACK_PER                     elements of a word
 *   CK_PACK_READ(x, count)          16 words of a row, of whose elements `count` are there
 *   CK_PACK_SIDE(x, next, more, mask, order)   one word of each of 16 rows that lie side by side
 * Elements that are not there count as zero and are not read.
 */

/* Up to 16 rows apart from each other (k contiguous): transposed 16 x 16 words at a time, and written to the first
 * `width` words of a panel's steps. */
CK_PACK_TARGET INLINE void CK_PACK(apart)(uint32_t *packed, size_t panel, const float *x, size_t row_stride,
                                          size_t rows, size_t width, size_t k) {
  const __mmask16 stored = (__mmask16)lanes(width);
  for (size_t p = 0; p < k; p += 16 * CK_PACK_PER, packed += 16 * panel) {
    __m512i r[16];
    const size_t there = k - p, steps = (there + CK_PACK_PER - 1) / CK_PACK_PER;
    UNROLL for (size_t i = 0; i < 16; i++)
      r[i] = i < rows ? CK_PACK_READ(x + i * row_stride + p, there) : _mm512_setzero_si512();
    transpose(r);
    UNROLL for (size_t i = 0; i < 16; i++)
      if (i < steps) _mm512_mask_storeu_epi32(packed + i * panel, stored, r[i]);
  }
}

/* Rows side by side (row stride 1), GROUP panels in one pass so that whole lines of memory are read. */
CK_PACK_TARGET INLINE void CK_PACK(beside)(uint32_t *packed, size_t panel, const float *x, size_t column_stride,
                                           size_t rows, size_t k) {
  enum { GROUP = 4 };
  uint16_t interleave[32]; /* the halves of 32, one by one */
  for (int i = 0; i < 32; i++) interleave[i] = (uint16_t)(i / 2 + i % 2 * 16);
  const __m512i order = _mm512_loadu_si512(interleave);
  (void)order;
  const size_t steps = (k + CK_PACK_PER - 1) / CK_PACK_PER;
  for (size_t group = 0; group < rows; group += GROUP * panel)
    for (size_t step = 0; step < steps; step++) {
      const float *column = x + step * CK_PACK_PER * column_stride;
      const int more = step * CK_PACK_PER + 1 < k;
      (void)more;
      for (size_t first = group; first < rows && first < group + GROUP * panel; first += panel)
        for (size_t i = 0; i < panel; i += 16) {
          const size_t there = rows - first > i ? rows - first - i : 0, width = panel - i;
          const float *here = column + first + i;
          uint32_t *out = packed + first * steps + step * panel + i;
          if (there >= 16 && step + 1 < steps) { /* whole; what it writes too much, the next step writes over */
            _mm512_storeu_si512(out, CK_PACK_SIDE(here, here + column_stride, 1, 0xffff, order));
            continue;
          }
          const __mmask16 read = (__mmask16)lanes(there < width ? there : width);
          _mm512_mask_storeu_epi32(out, (__mmask16)lanes(width),
                                   CK_PACK_SIDE(here, here + column_stride, more, read, order));
        }
    }
}

/* ck_gemm.pack of this variant. Rows that lie neither way are gathered first, a block at a time. */
CK_PACK_TARGET void CK_PACK(ck_gemm_pack)(uint32_t *restrict packed, size_t panel, const float *restrict x,
                                          size_t row_stride, size_t column_stride, size_t rows, size_t k) {
  if (row_stride == 1 && column_stride != 1) {
    CK_PACK(beside)(packed, panel, x, column_stride, rows, k);
    return;
  }
  const size_t steps = (k + CK_PACK_PER - 1) / CK_PACK_PER;
  for (size_t first = 0; first < rows; first += panel)
    for (size_t i = 0; i < panel; i += 16) {
      const size_t row = first + i, width = panel - i < 16 ? panel - i : 16;
      const size_t there = rows <= row ? 0 : rows - row < width ? rows - row : width;
      const float *from = x + row * row_stride;
      uint32_t *out = packed + first * steps + i;
      if (column_stride != 1) {
        for (size_t p = 0; p < k; p += 16 * CK_PACK_PER) {
          float block[16][16 * CK_PACK_PER];
          const size_t columns = k - p < 16 * CK_PACK_PER ? k - p : 16 * CK_PACK_PER;
          for (size_t j = 0; j < there; j++)
            for (size_t q = 0; q < columns; q++) block[j][q] = from[j * row_stride + (p + q) * column_stride];
          CK_PACK(apart)(out + p / CK_PACK_PER * panel, panel, block[0], 16 * CK_PACK_PER, there, width, columns);
        }
      } else if (there == 16) {
        CK_PACK(apart)(out, panel, from, row_stride, 16, 16, k);
      } else if (there == 14) {
        CK_PACK(apart)(out, panel, from, row_stride, 14, width, k);
      } else {
        CK_PACK(apart)(out, panel, from, row_stride, there, width, k);
      }
    }
}

#undef CK_PACK
#undef CK_PACK_TARGET
#undef CK_PACK_PER
#undef CK_PACK_READ
#undef CK_PACK_SIDE
