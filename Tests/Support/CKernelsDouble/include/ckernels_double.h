/*
 * The kernels of CKernels compiled once more with double for float, named ck_..._f64, and plain loops for what the
 * program composes of matrix products: references for the gradients' tests. No part of the program.
 *
 * Legend: N rows, T tokens, I inputs, O outputs, C channels, V vocabulary, H query heads, KV key/value heads, D head
 * size. Gradients of activations (dx) are assigned, those of parameters (dw, db) added, as in ckernels.h.
 */
#ifndef CKERNELS_DOUBLE_H
#define CKERNELS_DOUBLE_H

#include "ckernels.h"

#define real double
#define CK_KERNEL(result, name, parameters, arguments) result ck_##name##_f64 parameters;
#define CK_FLOAT_KERNEL(result, name, parameters, arguments)
#include "../../../../Sources/CKernels/kernel_list.h"
#undef CK_FLOAT_KERNEL
#undef CK_KERNEL
#undef real

/* ---- linear.c: y = x w^T + b; x [N, I], w [O, I], b [O] or NULL ------------------------------------------------- */

void reference_linear_forward(double *out, const double *x, const double *w, const double *b, size_t N, size_t O,
                              size_t I);
void reference_linear_backward(double *dx, double *dw, double *db, const double *dout, const double *x,
                               const double *w, size_t N, size_t O, size_t I);
/* dtable[tokens[n], c] += dout[n, c] */
void reference_embedding_backward(double *dtable, const double *dout, const int32_t *tokens, size_t N, size_t C);
/* losses[n] = -log softmax(hidden[n] head^T)[targets[n]], and the gradients of scale * sum_n losses[n]. `row` is
 * scratch of V. */
void reference_linear_cross_entropy(double *losses, double *dhidden, double *dhead, const double *hidden,
                                    const double *head, const int32_t *targets, size_t N, size_t V, size_t C,
                                    double scale, double *row);

/* ---- attention.c: one sequence; q, out [T, H * D], k, v [T, KV * D]; query head h reads key/value head h / (H / KV),
 * position t sees the last `window` positions up to t (0: all of them), scores are scaled by 1 / sqrt(D). `row` is
 * scratch of 2 T. ------------------------------------------------------------------------------------------------- */

void reference_attention_forward(double *out, const double *q, const double *k, const double *v, size_t T, size_t H,
                                 size_t KV, size_t D, size_t window, double *row);
void reference_attention_backward(double *dq, double *dk, double *dv, const double *dout, const double *q,
                                  const double *k, const double *v, size_t T, size_t H, size_t KV, size_t D,
                                  size_t window, double *row);

#endif
