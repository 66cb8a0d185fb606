// scaled_gram.h: coordinates in which the Gram matrix has a unit diagonal, and splitting methods are well conditioned.
//
//   n_j = sqrt(G_jj + d)      ^G = (G + d I) / (n n^T)      ^W = W n      (columns; W = ^W / n on the way back)

#ifndef ESPALIER_SUPPORT_SCALED_GRAM_H
#define ESPALIER_SUPPORT_SCALED_GRAM_H

#include "gram.h"

#include <math.h>

struct gram_scaling {
  const espalier_gram *gram;
  double damping;
  const double *norms;  // [n]
  double *scaled;       // [n, n]
};

static inline int32_t scale_gram_row(void *context, int64_t i) {
  const struct gram_scaling *scaling = context;
  const int64_t n = scaling->gram->count;
  const float *products = scaling->gram->products + i * n;
  const double *norms = scaling->norms;
  for (int64_t j = 0; j < n; j++) {
    scaling->scaled[i * n + j] = (products[j] + (i == j ? scaling->damping : 0)) / (norms[i] * norms[j]);
  }
  return ESPALIER_OK;
}

// Writes norms[n] and scaled[n, n] in double, for a damping d in units of G. An input that never fires has a norm that
// is small, not 0. Fails with ESPALIER_INVALID_ARGUMENT if no input fires.
static inline int32_t scale_gram(const espalier_host *host, const espalier_matrix *matrix, double damping,
                                 double *norms, double *scaled, espalier_message *message) {
  const espalier_gram *gram = matrix->gram;
  const int64_t n = gram->count;
  const double mean = gram_mean_diagonal(gram);
  const int32_t status = check_gram_fires(matrix, message);
  if (status != ESPALIER_OK) return status;
  for (int64_t i = 0; i < n; i++) norms[i] = sqrt(gram->products[i * (n + 1)] + damping) + 1e-8 * sqrt(mean);
  struct gram_scaling scaling = {.gram = gram, .damping = damping, .norms = norms, .scaled = scaled};
  return algebra_report(host->parallel_for(host, n, scale_gram_row, &scaling), message);
}

struct weight_scaling {
  const double *norms;  // [columns]
  const float *from;    // [rows, columns]
  const uint8_t *kept;  // [rows, columns]
  float *to;            // [rows, columns]
  int64_t columns;
};

static inline int32_t scale_weights_row(void *context, int64_t row) {
  const struct weight_scaling *scaling = context;
  const int64_t at = row * scaling->columns;
  for (int64_t j = 0; j < scaling->columns; j++) {
    scaling->to[at + j] = (float)(scaling->from[at + j] * scaling->norms[j]);
  }
  return ESPALIER_OK;
}

static inline int32_t unscale_weights_row(void *context, int64_t row) {
  const struct weight_scaling *scaling = context;
  const int64_t at = row * scaling->columns;
  for (int64_t j = 0; j < scaling->columns; j++) {
    scaling->to[at + j] = scaling->kept[at + j] ? (float)(scaling->from[at + j] / scaling->norms[j]) : 0;
  }
  return ESPALIER_OK;
}

// scaled[rows, columns] = W n
static inline int32_t scale_weights(const espalier_host *host, const espalier_matrix *matrix, const double *norms,
                                    float *scaled) {
  struct weight_scaling scaling = {
    .norms = norms, .from = matrix->weights, .to = scaled, .columns = matrix->columns};
  return host->parallel_for(host, matrix->rows, scale_weights_row, &scaling);
}

// The problem's weights = scaled / n where it keeps them, 0 elsewhere.
static inline int32_t unscale_weights(const espalier_host *host, const espalier_problem *problem, const double *norms,
                                      const float *scaled) {
  struct weight_scaling scaling = {.norms = norms, .from = scaled, .kept = problem->kept, .to = problem->weights,
                                   .columns = problem->matrix->columns};
  return host->parallel_for(host, problem->matrix->rows, unscale_weights_row, &scaling);
}

#endif
