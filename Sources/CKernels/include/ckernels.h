/*
 * Espalier's own kernels: plain loops over pointers, one operation per file.
 *
 * Outputs come first, then inputs, then sizes. Nothing here allocates, does input or output, keeps a global or
 * starts a thread. Matrices are row-major. Wherever a function takes a row range it may run on several threads with
 * disjoint ranges. Each function is compiled for several instruction sets and the processor's best is chosen
 * when the program starts (see kernel.h, dispatch.c); results on one machine are always the same bits.
 *
 * X_forward computes X; X_backward computes gradients of a loss from dout, the loss' gradient for X's output. Gradients
 * of activations (dx) are assigned, or added where a parameter says so; gradients of parameters (dweight, dbias) are
 * always added, to doubles.
 *
 * Legend: N rows (tokens), C channels, V vocabulary, H query heads, D head size, T tokens of a sequence.
 */
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stddef.h>
#include <stdint.h>

/* The instruction set that the kernels run on: "avx512", "avx2" or "baseline"; "neon" on arm64. */
const char *ck_instruction_set(void);
/* The core type that OpenBLAS should be told to use here, or NULL where its own choice is good: its AVX-512 kernels
 * wherever there are such instructions, for older versions take AVX2 kernels on processors newer than themselves. */
const char *ck_openblas_core(void);

/* ---- convert.c, convert_blocks.c, convert_superblocks.c: storage to fp32 ----------------------------------------- */

void ck_f16_to_f32(float *out, const uint16_t *in, size_t n);
void ck_bf16_to_f32(float *out, const uint16_t *in, size_t n);
/* GGUF's blocks of 32 elements, of which n is a multiple: d*q (q8_0), d*(q-8) (q4_0), d*(q-16) (q5_0), d*q+m (q4_1,
 * q5_1); d and m are fp16. */
void ck_q8_0_to_f32(float *out, const uint8_t *in, size_t n);
void ck_q4_0_to_f32(float *out, const uint8_t *in, size_t n);
void ck_q4_1_to_f32(float *out, const uint8_t *in, size_t n);
void ck_q5_0_to_f32(float *out, const uint8_t *in, size_t n);
void ck_q5_1_to_f32(float *out, const uint8_t *in, size_t n);
/* GGUF's super-blocks of 256 elements, of which n is a multiple, with integer scales per 16 or 32 of them. */
void ck_q2_k_to_f32(float *out, const uint8_t *in, size_t n);
void ck_q3_k_to_f32(float *out, const uint8_t *in, size_t n);
void ck_q4_k_to_f32(float *out, const uint8_t *in, size_t n);
void ck_q5_k_to_f32(float *out, const uint8_t *in, size_t n);
void ck_q6_k_to_f32(float *out, const uint8_t *in, size_t n);

/* ---- mask.h: kept bits, lowest bit of the first byte first, each row padded to a byte --------------------------- */

/* weights[n] = bit n of `kept` ? weights[n] : 0. One row. */
void ck_mask_apply(float *weights, const uint8_t *kept, size_t n);
/* Ones among the first `n` bits. */
size_t ck_mask_count(const uint8_t *kept, size_t n);
/* bytes[n] = bit n of `kept`, 0 or 1. */
void ck_mask_unpack(uint8_t *bytes, const uint8_t *kept, size_t n);
/* Bit n of `kept` = bytes[n] is not 0; writes whole bytes, bits beyond n are 0. */
void ck_mask_pack(uint8_t *kept, const uint8_t *bytes, size_t n);

/* ---- select.h: which scores of a set are the smallest ----------------------------------------------------------- */

/* Clears, in `kept` (one row, all ones before), the bits of the `prune` smallest of `n` scores; of equal scores
 * the first go first, as a stable ascending sort would have it. -0 equals 0. `keys` is scratch of n elements. */
void ck_select_row(uint8_t *kept, const float *scores, size_t n, size_t prune, uint32_t *keys);
/* The same for every group of `m` consecutive scores: `prune` of each go, ties as torch.topk breaks them (see
 * kernels/select_groups.h). n is a multiple of m, 1 <= prune < m <= 256. */
void ck_select_groups(uint8_t *kept, const float *scores, size_t n, size_t prune, size_t m);
/* The same for every column of a [rows, columns] matrix, whose mask has `row_bytes` bytes a row. `keys` is scratch of
 * ck_select_columns_scratch(rows) elements. */
void ck_select_columns(uint8_t *kept, const float *scores, size_t rows, size_t columns, size_t row_bytes, size_t prune,
                       uint32_t *keys);
size_t ck_select_columns_scratch(size_t rows);

/* For sets larger than a row: the key of a rank is found by counting. A key is the float's bits made to order as
 * unsigned numbers (ordered_key.h). First count by the upper 16 bits of the key, 65536 counters, ... */
void ck_select_coarse(uint32_t *histogram, const float *scores, size_t n);
/* ... then, for the bucket that holds the rank, by the lower 16 bits of the keys in that bucket. */
void ck_select_fine(uint32_t *histogram, const float *scores, size_t n, uint32_t bucket);
/* Clears the bits of the scores with keys below `threshold`, and of the first *ties at the threshold, counting
 * *ties down. One row. */
void ck_select_below(uint8_t *kept, const float *scores, size_t n, uint32_t threshold, uint64_t *ties);
/* How many of n scores have exactly the key `threshold`. */
uint64_t ck_select_ties(const float *scores, size_t n, uint32_t threshold);
/* The score that has this key. */
float ck_select_score(uint32_t key);

/* Smallest, largest and sum (of runs of 1024 in float, their totals in double) of n values; returns nonzero if any
 * is NaN. All are 0 for n = 0. */
int ck_range(float *minimum, float *maximum, double *sum, const float *values, size_t n);

/* ---- rank.c ----------------------------------------------------------------------------------------------------- */

/* ranks[i] = place of scores[i] in ascending order, from 0; equal scores share their mean place. n < 2^32.
 * `scratch` has ck_rank_scratch(n) elements. */
void ck_rank(float *ranks, const float *scores, size_t n, uint32_t *scratch);
size_t ck_rank_scratch(size_t n);

/* ---- gemm.c, gemm_pack.c: matrix products of packed operands ---------------------------------------------------- */

/* One way to compute C[m,n] (+)= sum_k A(i,k) B(j,k), in fp32 or, with operands rounded to bf16 (nearest even,
 * denormals to zero), with products and sums in fp32. Operands are packed first, A in panels of `panel_rows` rows and
 * B in panels of `panel_columns`; a packed operand of r rows takes (r rounded up to whole panels) * steps words,
 * steps = ceil(k / k_per_word), and panel p begins at word p * panel * steps, so that threads may pack and multiply
 * panels apart from each other. Sums run in the order of k, whatever the division into calls by rows and columns. */
typedef struct ck_gemm {
  const char *name;
  size_t panel_rows, panel_columns, k_per_word;
  /* Packs x(i,p) = x[i*row_stride + p*column_stride], i < rows, p < k; `panel` is panel_rows or panel_columns. */
  void (*pack)(uint32_t *packed, size_t panel, const float *x, size_t row_stride, size_t column_stride, size_t rows,
               size_t k);
  /* c[m,n] = (or += if `accumulate`) a · bᵀ over `steps` words of operands packed with a_steps and b_steps words
   * row, so that a part of k can be taken. m and n need not be whole panels; rows of c are ldc floats apart. */
  void (*multiply)(float *c, size_t ldc, const uint32_t *a, size_t a_steps, const uint32_t *b, size_t b_steps,
                   size_t m, size_t n, size_t steps, int accumulate);
} ck_gemm;

/* The variants that this processor runs, fastest first, of fp32 or bf16 products; NULL past the last. */
const ck_gemm *ck_gemm_variant(int bf16, size_t index);
/* Whether bf16 products have instructions of their own here (AVX512-BF16); without, they are no faster than fp32. */
int ck_has_bf16(void);

/* ---- elementwise.h ---------------------------------------------------------------------------------------------- */

/* x[i] += y[i] */
void ck_add(float *x, const float *y, size_t n);
/* y[i] += a * x[i] */
void ck_axpy(float *y, float a, const float *x, size_t n);
/* sum[i] += x[i] * y[i]; x may be y. */
void ck_product_accumulate(float *sum, const float *x, const float *y, size_t n);
/* x[i] *= a */
void ck_scale(float *x, float a, size_t n);
/* x[n,c] += bias[c]; rows `stride` apart. */
void ck_bias_forward(float *x, const float *bias, size_t N, size_t C, size_t stride);
/* dbias[c] += sum_n dout[n,c], in row order. */
void ck_bias_backward(double *dbias, const float *dout, size_t N, size_t C, size_t stride);

/* ---- activations.h (formulas and sources there) ----------------------------------------------------------------- */

enum ck_activation { CK_SILU, CK_GELU_TANH, CK_GELU_ERF, CK_RELU, CK_GELU_QUICK };

/* out[i] = act(x[i]). out may be x. */
void ck_activation_forward(enum ck_activation kind, float *out, const float *x, size_t n);
/* dx[i] = dout[i] * act'(x[i]). dx may be dout or x. */
void ck_activation_backward(enum ck_activation kind, float *dx, const float *dout, const float *x, size_t n);
/* out[i] = act(gate[i]) * up[i]. out may be gate or up. (Shazeer 2020, GLU variants) */
void ck_gated_forward(enum ck_activation kind, float *out, const float *gate, const float *up, size_t n);
/* dgate[i] = dout[i] * up[i] * act'(gate[i]), dup[i] = dout[i] * act(gate[i]). dgate may be gate, and dup may be up. */
void ck_gated_backward(enum ck_activation kind, float *dgate, float *dup, const float *dout, const float *gate,
                       const float *up, size_t n);

/* ---- rmsnorm.h, layernorm.h: rows of C channels, statistics in double ------------------------------------------- */

/* out[n,c] = x[n,c] * (offset + weight[c]) / sqrt(mean_c(x[n,c]^2) + eps); offset is 0 for Llama, 1 for Gemma.
 * (Zhang & Sennrich 2019). out may be x. */
void ck_rmsnorm_forward(float *out, const float *x, const float *weight, float offset, size_t N, size_t C, float eps);
/* dx[n,c] = (or +=, if `accumulate`) and dweight[c] += for dout [N, C]. x is the forward's input; 1/rms is computed
 * again. dx may be dout if it does not accumulate. */
void ck_rmsnorm_backward(float *dx, double *dweight, const float *dout, const float *x, const float *weight,
                         float offset, size_t N, size_t C, float eps, int accumulate);
/* out[n,c] = (x[n,c] - mean_c) / sqrt(variance_c + eps) * weight[c] + bias[c]. (Ba et al. 2016). out may be x. */
void ck_layernorm_forward(float *out, const float *x, const float *weight, const float *bias, size_t N, size_t C,
                          float eps);
/* As ck_rmsnorm_backward, and dbias[c] +=. */
void ck_layernorm_backward(float *dx, double *dweight, double *dbias, const float *dout, const float *x,
                           const float *weight, size_t N, size_t C, float eps, int accumulate);

/* ---- rope.h ----------------------------------------------------------------------------------------------------- */

/* Rotates, in place, H heads of D channels in each of T rows `stride` floats apart. Row t has position t.
 * (a, b) = (x[i], x[i+D/2]) -> (a cos - b sin, b cos + a sin) with cos, sin of [t, i] from tables [T, D/2].
 * (Su et al. 2021 in the half-split order of Hugging Face checkpoints) */
void ck_rope_forward(float *x, const float *cosines, const float *sines, size_t T, size_t H, size_t D, size_t stride);
/* The same rotation backwards, which is its transpose: dout becomes dx. */
void ck_rope_backward(float *dx, const float *cosines, const float *sines, size_t T, size_t H, size_t D,
                      size_t stride);

/* ---- softmax.h -------------------------------------------------------------------------------------------------- */

/* Causal softmax of `rows` rows of scores, `stride` floats apart, in place: row r is the query at position first + r
 * and sees the columns max(0, first+r+1-window) ... first+r (a window of 0 is no limit); the rest of its `columns`
 * become 0. scores = softmax(scale * scores), maximum subtracted, scale > 0. */
void ck_causal_softmax_forward(float *scores, size_t rows, size_t columns, size_t first, size_t window, size_t stride,
                               float scale);
/* Gradient of softmax(scale * scores) for the scores, in place of that for the probabilities:
 * ds = scale * p * (dp - sum_c dp*p), the sum in double. Rows are `stride` apart in both. Where p is 0 so is ds. */
void ck_softmax_backward(float *dprobs, const float *probs, size_t rows, size_t columns, size_t stride, float scale);

/* ---- losses.h --------------------------------------------------------------------------------------------------- */

/* Takes n more logits of a row into its running maximum and sum of exp(logit - maximum), so that
 * log sum exp = *maximum + log(*sum). Start from -infinity and 0. (online softmax, Milakov & Gimelshein 2018) */
void ck_logsumexp_update(float *maximum, double *sum, const float *logits, size_t n);
/* log sum_i exp(logits[i]); -infinity for n = 0. A token's log-probability is its logit less this. */
double ck_log_sum_exp(const float *logits, size_t n);
/* p = softmax(logits / temperature) and log_p, its logarithm, of V logits; -infinity among them has p = 0. */
void ck_distribution(float *log_p, float *p, const float *logits, size_t V, float temperature);
/* Returns -log softmax(logits)[target] in nats; the V logits become scale * its gradient. target < V. */
double ck_cross_entropy_backward(float *logits, size_t target, size_t V, float scale);
/* Returns KL(p || q) >= 0 in nats, p = softmax(reference), q = softmax(logits), exactly 0 for equal rows, and the log
 * sum exp of both. V >= 1. */
double ck_divergence(double *reference_log_sum, double *log_sum, const float *reference, const float *logits,
                     size_t V);

/* ---- adamw.h, reductions.h --------------------------------------------------------------------------------------- */

/* The caller computes rest1 = 1 - beta1, rest2 = 1 - beta2 and, for step t = 1, 2, ..., bias1 = 1 - beta1^t and
 * bias2 = 1 - beta2^t in double from the betas as they are meant, and rounds then: 1 less the float next to 0.999 is
 * off by 1e-5, and so would be moments that it decays. */
struct ck_adamw {
  float learning_rate, rest1, rest2, epsilon, decay, gradient_scale, bias1, bias2;
};

/* One step for n weights p with moments m and v: with g first multiplied by gradient_scale,
 *   p *= 1 - learning_rate * decay;  m += rest1 (g - m);  v += rest2 (g^2 - v);
 *   p -= learning_rate / bias1 * m / (sqrt(v) / sqrt(bias2) + epsilon).
 * Where a bit of `kept` (NULL: all are kept; lowest bit of the first byte first) is 0, p, m and v become 0. */
void ck_adamw_step(float *p, float *m, float *v, const float *g, const uint8_t *kept, size_t n,
                   const struct ck_adamw *options);
/* sum_i x[i]^2, in double. NaN and infinity carry. */
double ck_sum_of_squares(const float *x, size_t n);
/* sum_i x[i] * y[i], products and sum in double. */
double ck_dot(const float *x, const float *y, size_t n);

/* ---- dot_rows.h, weighted_rows.h: decoding ----------------------------------------------------------------------- */

/* out[n*ldo + r] = sum_c w[r*ldw + c] * x[n*ldx + c] for r < rows, n < N: a few vectors (N of 1 ... 16) times weights
 * as they are stored, which are read once. Sums in fp32 lanes, in an order that depends on `columns` only. w needs only
 * the alignment of its type. */
void ck_dot_rows_f32(float *out, size_t ldo, const float *w, size_t ldw, size_t rows, size_t columns, const float *x,
                     size_t ldx, size_t N);
void ck_dot_rows_bf16(float *out, size_t ldo, const uint16_t *w, size_t ldw, size_t rows, size_t columns,
                      const float *x, size_t ldx, size_t N);
void ck_dot_rows_f16(float *out, size_t ldo, const uint16_t *w, size_t ldw, size_t rows, size_t columns,
                     const float *x, size_t ldx, size_t N);
/* out[d] = sum_t p[t] * v[t*ldv + d] for d < D, in the order of t. */
void ck_weighted_rows(float *out, const float *p, const float *v, size_t ldv, size_t T, size_t D);

/* ---- moments.h -------------------------------------------------------------------------------------------------- */

/* Adds the columns' sums of x, x^2 and |x| over N rows `stride` floats apart to the doubles, columns [first, last). */
void ck_moments_accumulate(double *sum, double *sum_of_squares, double *sum_of_magnitudes, const float *x, size_t N,
                           size_t stride, size_t first, size_t last);

#endif
