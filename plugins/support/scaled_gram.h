// scaled_gram.h: a Gram matrix with unit diagonal, in which splitting methods are well conditioned.
//
//   n_j = sqrt(G_jj + d)      ^G = (G + d I) / (n n^T)      ^W = W n      (columns; W = ^W / n on the way back)

#ifndef ESPALIER_SUPPORT_SCALED_GRAM_H
#define ESPALIER_SUPPORT_SCALED_GRAM_H

#include "gram.h"

// Writes norms[n] and scaled[n, n] in double, for a damping d in units of G. An input that never fires has a norm that
// is small, not 0. Fails with ESPALIER_INVALID_ARGUMENT if no input fires.
static inline int32_t scaled_gram(const espalier_matrix *matrix, double damping, double *norms, double *scaled,
                                  espalier_message *message) {
  const espalier_gram *gram = matrix->gram;
  const int64_t n = gram->count;
  const double mean = gram_mean_diagonal(gram);
  if (!(mean > 0)) {
    snprintf(message->text, message->capacity, "all inputs of %s are 0 for every token; check the dataset",
             matrix->tensor);
    return ESPALIER_INVALID_ARGUMENT;
  }
  for (int64_t i = 0; i < n; i++) norms[i] = sqrt(gram->products[i * (n + 1)] + damping) + 1e-8 * sqrt(mean);
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j < n; j++) {
      scaled[i * n + j] = (gram->products[i * n + j] + (i == j ? damping : 0)) / (norms[i] * norms[j]);
    }
  }
  return ESPALIER_OK;
}

#endif
