/*
 * Espalier's own kernels: plain loops over pointers, one operation per file.
 *
 * Outputs come first, then inputs, then sizes. Nothing here allocates, does input or output, keeps a global or
 * starts a thread. Matrices are row-major. Wherever a function takes a row range it may run on several threads with
 * disjoint ranges. Each function is compiled for several instruction sets and the processor's best is chosen
 * when the program starts (see clones.h); results on one machine are always the same bits.
 *
 * Legend: N rows (tokens), C channels, V vocabulary, H query heads, D head size, T tokens of a sequence.
 */
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stddef.h>
#include <stdint.h>

/* The instruction set that the kernels run on: "avx512", "avx2" or "baseline". */
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

/* ---- mask.c: kept bits, lowest bit of the first byte first, each row padded to a byte --------------------------- */

/* weights[n] = bit n of `kept` ? weights[n] : 0. One row. */
void ck_mask_apply(float *weights, const uint8_t *kept, size_t n);
/* Ones among the first `n` bits. */
size_t ck_mask_count(const uint8_t *kept, size_t n);

/* ---- select.c: which scores of a set are the smallest ----------------------------------------------------------- */

/* Clears, in `kept` (one row, all ones before), the bits of the `prune` smallest of `n` scores; of equal scores
 * the first go first, as a stable ascending sort would have it. -0 equals 0. `keys` is scratch of n elements. */
void ck_select_row(uint8_t *kept, const float *scores, size_t n, size_t prune, uint32_t *keys);
/* The same for every group of `m` consecutive scores: `prune` of each go, ties as torch.topk breaks them (see
 * select_groups.c). n is a multiple of m, 1 <= prune < m <= 256. */
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

/* ---- elementwise.c ---------------------------------------------------------------------------------------------- */

/* x[i] += y[i] */
void ck_add(float *x, const float *y, size_t n);
/* gate[i] = silu(gate[i]) * up[i], silu(x) = x / (1 + exp(-x)). In place. (Shazeer 2020, GLU variants) */
void ck_swiglu_forward(float *gate, const float *up, size_t n);

/* ---- rmsnorm.c -------------------------------------------------------------------------------------------------- */

/* out[n,c] = x[n,c] * weight[c] / sqrt(mean_c(x[n,c]^2) + eps). (Zhang & Sennrich 2019). The mean is summed in
 * double. out may be x. */
void ck_rmsnorm_forward(float *out, const float *x, const float *weight, size_t N, size_t C, float eps);

/* ---- rope.c ----------------------------------------------------------------------------------------------------- */

/* Rotates, in place, H heads of D channels in each of T rows `stride` floats apart. Row t has position t.
 * (a, b) = (x[i], x[i+D/2]) -> (a cos - b sin, b cos + a sin) with cos, sin of [t, i] from tables [T, D/2].
 * (Su et al. 2021 in the half-split order of Hugging Face checkpoints) */
void ck_rope_forward(float *x, const float *cosines, const float *sines, size_t T, size_t H, size_t D, size_t stride);

/* ---- softmax.c -------------------------------------------------------------------------------------------------- */

/* Causal softmax of `rows` rows of scores, `stride` floats apart, in place: row r sees columns 0...first+r and the
 * rest of its `columns` become 0. scores = softmax(scale * scores), maximum subtracted. */
void ck_causal_softmax_forward(float *scores, size_t rows, size_t columns, size_t first, size_t stride, float scale);
/* Takes n more logits of a row into its running maximum and sum of exp(logit - maximum), so that
 * log sum exp = *maximum + log(*sum). Start from -infinity and 0. (online softmax, Milakov & Gimelshein 2018) */
void ck_logsumexp_update(float *maximum, double *sum, const float *logits, size_t n);

/* ---- moments.c -------------------------------------------------------------------------------------------------- */

/* Adds the columns' sums of x, x^2 and |x| over N rows `stride` floats apart to the doubles, columns [first, last). */
void ck_moments_accumulate(double *sum, double *sum_of_squares, double *sum_of_magnitudes, const float *x, size_t N,
                           size_t stride, size_t first, size_t last);

#endif
