/*
 * The register tile of a matrix product and the loops around it, for one instruction set. No include guard:
 * gemm.c includes it once for each, after defining
 *   CK_GEMM(name)                        name with the variant's ending
 *   CK_GEMM_TARGET                       the target attribute
 *   CK_GEMM_LANES                        32-bit words in a register
 *   CK_GEMM_ROWS, CK_GEMM_VECTORS        the tile: rows of A by registers of B
 *   CK_GEMM_DEPTH                        words of a sum that are added up before they join those in C
 *   CK_GEMM_MULTIPLY_ADD(sum, a, b)      sum + a * b of registers of words
 *
 * A tile keeps rows * vectors registers of sums while it walks down a panel of A (`rows` words to a step) and one of B
 * (vectors * lanes words to a step): a broadcast a row and a load a vector for rows * vectors multiply-adds, so that
 * arithmetic is the limit and not loading. What a word is, one float or two bf16, only MULTIPLY_ADD knows.
 * (the scheme of Goto & van de Geijn 2008 and of BLIS, Van Zee & van de Geijn 2015)
 */

#define CK_GEMM_UNROLL _Pragma("clang loop unroll(full)")

typedef float CK_GEMM(floats) __attribute__((vector_size(4 * CK_GEMM_LANES), aligned(4)));
typedef uint32_t CK_GEMM(words) __attribute__((vector_size(4 * CK_GEMM_LANES), aligned(4)));
enum { CK_GEMM(width) = CK_GEMM_LANES * CK_GEMM_VECTORS };

/* c[rows, columns] (+)= a · b over `steps` words; `rows` is a constant wherever this is inlined. */
CK_GEMM_TARGET static inline __attribute__((always_inline)) void CK_GEMM(tile)(
    float *c, size_t ldc, const uint32_t *a, const uint32_t *b, size_t steps, size_t rows, size_t columns,
    int accumulate) {
  CK_GEMM(floats) sums[CK_GEMM_ROWS][CK_GEMM_VECTORS];
  CK_GEMM_UNROLL for (size_t i = 0; i < rows; i++)
    CK_GEMM_UNROLL for (size_t j = 0; j < CK_GEMM_VECTORS; j++) sums[i][j] = (CK_GEMM(floats)){0};
  for (size_t i = 0; i < rows; i++) /* the output comes near while the sums are made */
    for (size_t j = 0; j < columns; j += 16) __builtin_prefetch(c + i * ldc + j, 1);

  for (size_t step = 0; step < steps; step++, a += CK_GEMM_ROWS, b += CK_GEMM(width)) {
    CK_GEMM(floats) right[CK_GEMM_VECTORS];
    CK_GEMM_UNROLL for (size_t j = 0; j < CK_GEMM_VECTORS; j++)
      right[j] = (CK_GEMM(floats))*(const CK_GEMM(words) *)(b + j * CK_GEMM_LANES);
    CK_GEMM_UNROLL for (size_t i = 0; i < rows; i++) {
      const CK_GEMM(floats) left = (CK_GEMM(floats))(a[i] + (CK_GEMM(words)){0});
      CK_GEMM_UNROLL for (size_t j = 0; j < CK_GEMM_VECTORS; j++)
        sums[i][j] = CK_GEMM_MULTIPLY_ADD(sums[i][j], left, right[j]);
    }
  }

  if (columns == CK_GEMM(width)) {
    CK_GEMM_UNROLL for (size_t i = 0; i < rows; i++)
      CK_GEMM_UNROLL for (size_t j = 0; j < CK_GEMM_VECTORS; j++) {
        CK_GEMM(floats) *out = (CK_GEMM(floats) *)(c + i * ldc + j * CK_GEMM_LANES);
        *out = accumulate ? *out + sums[i][j] : sums[i][j];
      }
    return;
  }
  float edge[CK_GEMM_ROWS][CK_GEMM(width)];
  CK_GEMM_UNROLL for (size_t i = 0; i < rows; i++)
    CK_GEMM_UNROLL for (size_t j = 0; j < CK_GEMM_VECTORS; j++)
      *(CK_GEMM(floats) *)(edge[i] + j * CK_GEMM_LANES) = sums[i][j];
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < columns; j++)
      c[i * ldc + j] = accumulate ? c[i * ldc + j] + edge[i][j] : edge[i][j];
}

/* The tile with the number of its rows made constant. */
CK_GEMM_TARGET static void CK_GEMM(any_tile)(float *c, size_t ldc, const uint32_t *a, const uint32_t *b, size_t steps,
                                             size_t rows, size_t columns, int accumulate) {
#define CK_GEMM_CASE(n) \
  case n: CK_GEMM(tile)(c, ldc, a, b, steps, n, columns, accumulate); break;
  switch (rows) {
    CK_GEMM_CASE(1) CK_GEMM_CASE(2) CK_GEMM_CASE(3) CK_GEMM_CASE(4)
#if CK_GEMM_ROWS > 4
    CK_GEMM_CASE(5) CK_GEMM_CASE(6)
#endif
#if CK_GEMM_ROWS > 6
    CK_GEMM_CASE(7) CK_GEMM_CASE(8) CK_GEMM_CASE(9) CK_GEMM_CASE(10)
    CK_GEMM_CASE(11) CK_GEMM_CASE(12) CK_GEMM_CASE(13) CK_GEMM_CASE(14)
#endif
    default: break;
  }
#undef CK_GEMM_CASE
}

/* ck_gemm.multiply of this variant. A panel of A stays in L1 while those of B stream past it; long sums are cut so
 * that it fits, which also bounds how far rounding runs on. */
CK_GEMM_TARGET static void CK_GEMM(multiply)(float *c, size_t ldc, const uint32_t *a, size_t a_steps, const uint32_t *b,
                                             size_t b_steps, size_t m, size_t n, size_t steps, int accumulate) {
  const size_t cuts = (steps + CK_GEMM_DEPTH - 1) / CK_GEMM_DEPTH;
  const size_t depth = cuts ? (steps + cuts - 1) / cuts : 0;
  size_t step = 0;
  do { /* once even for an empty sum, which is zero */
    const size_t now = steps - step < depth ? steps - step : depth;
    for (size_t i = 0; i < m; i += CK_GEMM_ROWS)
      for (size_t j = 0; j < n; j += CK_GEMM(width))
        CK_GEMM(any_tile)(c + i * ldc + j, ldc, a + i * a_steps + step * CK_GEMM_ROWS,
                          b + j * b_steps + step * CK_GEMM(width), now, m - i < CK_GEMM_ROWS ? m - i : CK_GEMM_ROWS,
                          n - j < CK_GEMM(width) ? n - j : CK_GEMM(width), accumulate || step > 0);
    step += now;
  } while (step < steps);
}

#undef CK_GEMM_UNROLL
#undef CK_GEMM
#undef CK_GEMM_TARGET
#undef CK_GEMM_LANES
#undef CK_GEMM_ROWS
#undef CK_GEMM_VECTORS
#undef CK_GEMM_DEPTH
#undef CK_GEMM_MULTIPLY_ADD
