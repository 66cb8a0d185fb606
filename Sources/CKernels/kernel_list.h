/*
 * One line for each kernel, for those who define CK_KERNEL (and `real`) and include this file: result, name without
 * ck_, parameters, arguments. What they mean stands in ckernels.h. CK_FLOAT_KERNELs exist for floats only.
 */

/* elementwise.h */
CK_KERNEL(void, add, (real *x, const real *y, size_t n), (x, y, n))
CK_KERNEL(void, axpy, (real *y, real a, const real *x, size_t n), (y, a, x, n))
CK_KERNEL(void, product_accumulate, (real *sum, const real *x, const real *y, size_t n), (sum, x, y, n))
CK_KERNEL(void, scale, (real *x, real a, size_t n), (x, a, n))
CK_KERNEL(void, bias_forward, (real *x, const real *bias, size_t N, size_t C, size_t stride), (x, bias, N, C, stride))
CK_KERNEL(void, bias_backward, (double *dbias, const real *dout, size_t N, size_t C, size_t stride),
          (dbias, dout, N, C, stride))

/* activations.h */
CK_KERNEL(void, activation_forward, (enum ck_activation kind, real *out, const real *x, size_t n), (kind, out, x, n))
CK_KERNEL(void, activation_backward,
          (enum ck_activation kind, real *dx, const real *dout, const real *x, size_t n), (kind, dx, dout, x, n))
CK_KERNEL(void, gated_forward,
          (enum ck_activation kind, real *out, const real *gate, const real *up, size_t n), (kind, out, gate, up, n))
CK_KERNEL(void, gated_backward,
          (enum ck_activation kind, real *dgate, real *dup, const real *dout, const real *gate, const real *up,
           size_t n),
          (kind, dgate, dup, dout, gate, up, n))

/* rmsnorm.h, layernorm.h */
CK_KERNEL(void, rmsnorm_forward,
          (real *out, const real *x, const real *weight, real offset, size_t N, size_t C, real eps),
          (out, x, weight, offset, N, C, eps))
CK_KERNEL(void, rmsnorm_backward,
          (real *dx, double *dweight, const real *dout, const real *x, const real *weight, real offset, size_t N,
           size_t C, real eps, int accumulate),
          (dx, dweight, dout, x, weight, offset, N, C, eps, accumulate))
CK_KERNEL(void, layernorm_forward,
          (real *out, const real *x, const real *weight, const real *bias, size_t N, size_t C, real eps),
          (out, x, weight, bias, N, C, eps))
CK_KERNEL(void, layernorm_backward,
          (real *dx, double *dweight, double *dbias, const real *dout, const real *x, const real *weight, size_t N,
           size_t C, real eps, int accumulate),
          (dx, dweight, dbias, dout, x, weight, N, C, eps, accumulate))

/* rope.h */
CK_KERNEL(void, rope_forward,
          (real *x, const real *cosines, const real *sines, size_t T, size_t H, size_t D, size_t stride),
          (x, cosines, sines, T, H, D, stride))
CK_KERNEL(void, rope_backward,
          (real *dx, const real *cosines, const real *sines, size_t T, size_t H, size_t D, size_t stride),
          (dx, cosines, sines, T, H, D, stride))

/* softmax.h */
CK_KERNEL(void, causal_softmax_forward,
          (real *scores, size_t rows, size_t columns, size_t first, size_t window, size_t stride, real scale),
          (scores, rows, columns, first, window, stride, scale))
CK_KERNEL(void, softmax_backward,
          (real *dprobs, const real *probs, size_t rows, size_t columns, size_t stride, real scale),
          (dprobs, probs, rows, columns, stride, scale))

/* losses.h */
CK_KERNEL(void, logsumexp_update, (real *maximum, double *sum, const real *logits, size_t n),
          (maximum, sum, logits, n))
CK_KERNEL(double, log_sum_exp, (const real *logits, size_t n), (logits, n))
CK_KERNEL(void, distribution, (real *log_p, real *p, const real *logits, size_t V, real temperature),
          (log_p, p, logits, V, temperature))
CK_KERNEL(double, cross_entropy_backward, (real *logits, size_t target, size_t V, real scale),
          (logits, target, V, scale))
CK_KERNEL(double, divergence,
          (double *reference_log_sum, double *log_sum, const real *reference, const real *logits, size_t V),
          (reference_log_sum, log_sum, reference, logits, V))

/* adamw.h, reductions.h, moments.h, weighted_rows.h */
CK_KERNEL(void, adamw_step,
          (real *p, real *m, real *v, const real *g, const uint8_t *kept, size_t n, const struct ck_adamw *options),
          (p, m, v, g, kept, n, options))
CK_KERNEL(double, sum_of_squares, (const real *x, size_t n), (x, n))
CK_KERNEL(double, dot, (const real *x, const real *y, size_t n), (x, y, n))
CK_KERNEL(void, moments_accumulate,
          (double *sum, double *sum_of_squares, double *sum_of_magnitudes, const real *x, size_t N, size_t stride,
           size_t first, size_t last),
          (sum, sum_of_squares, sum_of_magnitudes, x, N, stride, first, last))
CK_KERNEL(void, weighted_rows, (real *out, const real *p, const real *v, size_t ldv, size_t T, size_t D),
          (out, p, v, ldv, T, D))

/* dot_rows.h */
CK_FLOAT_KERNEL(void, dot_rows_f32,
                (float *out, size_t ldo, const float *w, size_t ldw, size_t rows, size_t columns, const float *x,
                 size_t ldx, size_t N),
                (out, ldo, w, ldw, rows, columns, x, ldx, N))
CK_FLOAT_KERNEL(void, dot_rows_bf16,
                (float *out, size_t ldo, const uint16_t *w, size_t ldw, size_t rows, size_t columns, const float *x,
                 size_t ldx, size_t N),
                (out, ldo, w, ldw, rows, columns, x, ldx, N))
CK_FLOAT_KERNEL(void, dot_rows_f16,
                (float *out, size_t ldo, const uint16_t *w, size_t ldw, size_t rows, size_t columns, const float *x,
                 size_t ldx, size_t N),
                (out, ldo, w, ldw, rows, columns, x, ldx, N))

/* mask.h, select.h, select_groups.h */
CK_FLOAT_KERNEL(void, mask_apply, (float *weights, const uint8_t *kept, size_t n), (weights, kept, n))
CK_FLOAT_KERNEL(size_t, mask_count, (const uint8_t *kept, size_t n), (kept, n))
CK_FLOAT_KERNEL(void, mask_unpack, (uint8_t *bytes, const uint8_t *kept, size_t n), (bytes, kept, n))
CK_FLOAT_KERNEL(void, mask_pack, (uint8_t *kept, const uint8_t *bytes, size_t n), (kept, bytes, n))
CK_FLOAT_KERNEL(int, range, (float *minimum, float *maximum, double *sum, const float *values, size_t n),
                (minimum, maximum, sum, values, n))
CK_FLOAT_KERNEL(void, select_row, (uint8_t *kept, const float *scores, size_t n, size_t prune, uint32_t *keys),
                (kept, scores, n, prune, keys))
CK_FLOAT_KERNEL(void, select_groups, (uint8_t *kept, const float *scores, size_t n, size_t prune, size_t m),
                (kept, scores, n, prune, m))
CK_FLOAT_KERNEL(void, select_columns,
                (uint8_t *kept, const float *scores, size_t rows, size_t columns, size_t row_bytes, size_t prune,
                 uint32_t *keys),
                (kept, scores, rows, columns, row_bytes, prune, keys))
CK_FLOAT_KERNEL(void, select_coarse, (uint32_t *histogram, const float *scores, size_t n), (histogram, scores, n))
CK_FLOAT_KERNEL(void, select_fine, (uint32_t *histogram, const float *scores, size_t n, uint32_t bucket),
                (histogram, scores, n, bucket))
CK_FLOAT_KERNEL(void, select_below,
                (uint8_t *kept, const float *scores, size_t n, uint32_t threshold, uint64_t *ties),
                (kept, scores, n, threshold, ties))
CK_FLOAT_KERNEL(uint64_t, select_ties, (const float *scores, size_t n, uint32_t threshold), (scores, n, threshold))
