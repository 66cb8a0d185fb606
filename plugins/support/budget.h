// budget.h: what a budget asks for, checked and counted.

#ifndef ESPALIER_SUPPORT_BUDGET_H
#define ESPALIER_SUPPORT_BUDGET_H

#include <math.h>

#include "report.h"

// Fails with ESPALIER_INVALID_ARGUMENT for a budget that cannot be met.
static inline int32_t check_budget(const espalier_matrix *matrix, const espalier_budget *budget,
                                   espalier_message *message) {
  if (budget->pattern_size > 0) {
    if (matrix->columns % budget->pattern_size == 0 && budget->pattern_prune >= 0 &&
        budget->pattern_prune <= budget->pattern_size) return ESPALIER_OK;
    return refuse(message, "%s has %lld columns, which groups of %lld (%lld of them pruned) do not fill",
                  matrix->tensor, (long long)matrix->columns, (long long)budget->pattern_size,
                  (long long)budget->pattern_prune);
  }
  if (budget->sparsity >= 0 && budget->sparsity <= 1 && budget->group >= ESPALIER_GROUP_MATRIX &&
      budget->group <= ESPALIER_GROUP_COLUMN) return ESPALIER_OK;
  return refuse(message, "%s was given the sparsity %g in group %d; it must be 0...1, in the matrix, rows or columns",
                matrix->tensor, budget->sparsity, (int)budget->group);
}

// floor(n * sparsity): how many of n a fraction prunes.
static inline int64_t budget_count(int64_t n, double sparsity) {
  const int64_t count = (int64_t)floor((double)n * sparsity);
  return count < 0 ? 0 : count > n ? n : count;
}

// How many weights of a matrix the budget prunes.
static inline int64_t budget_pruned(const espalier_budget *budget, int64_t rows, int64_t columns) {
  if (budget->pattern_size > 0) return rows * (columns / budget->pattern_size) * budget->pattern_prune;
  if (budget->group == ESPALIER_GROUP_ROW) return rows * budget_count(columns, budget->sparsity);
  if (budget->group == ESPALIER_GROUP_COLUMN) return columns * budget_count(rows, budget->sparsity);
  return budget_count(rows * columns, budget->sparsity);
}

// The weights of a group that a refiner must not leave: M of a pattern that the columns hold whole, else 0. The budget
// may be NULL.
static inline int64_t budget_pattern(const espalier_budget *budget, int64_t columns) {
  if (budget == NULL || budget->pattern_size <= 0 || columns % budget->pattern_size != 0) return 0;
  return budget->pattern_size;
}

#endif
