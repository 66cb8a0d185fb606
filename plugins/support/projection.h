// projection.h: the mask of largest magnitudes under a budget: in the matrix, in each row, in each column, or N of M.
//
// The step that solvers repeat: the nearest matrix, in the plain norm, that keeps as many weights as it may.

#ifndef ESPALIER_SUPPORT_PROJECTION_H
#define ESPALIER_SUPPORT_PROJECTION_H

#include <stdio.h>

#include "selection.h"

// Fails with ESPALIER_INVALID_ARGUMENT for a budget that cannot be met.
static inline int32_t projection_check(const espalier_matrix *matrix, const espalier_budget *budget,
                                       espalier_message *message) {
  if (budget->pattern_size > 0) {
    if (matrix->columns % budget->pattern_size == 0 && budget->pattern_prune >= 0 &&
        budget->pattern_prune <= budget->pattern_size) return ESPALIER_OK;
    snprintf(message->text, message->capacity,
             "%s has %lld columns, which groups of %lld (%lld of them pruned) do not fill", matrix->tensor,
             (long long)matrix->columns, (long long)budget->pattern_size,
             (long long)budget->pattern_prune);
    return ESPALIER_INVALID_ARGUMENT;
  }
  if (budget->sparsity >= 0 && budget->sparsity <= 1 && budget->group >= ESPALIER_GROUP_MATRIX &&
      budget->group <= ESPALIER_GROUP_COLUMN) return ESPALIER_OK;
  snprintf(message->text, message->capacity,
           "%s was given the sparsity %g in group %d; it must be 0...1, in the matrix, rows or columns", matrix->tensor,
           budget->sparsity, (int)budget->group);
  return ESPALIER_INVALID_ARGUMENT;
}

// How many weights of a matrix the budget prunes.
static inline int64_t projection_pruned(const espalier_budget *budget, int64_t rows, int64_t columns) {
  if (budget->pattern_size > 0) return rows * (columns / budget->pattern_size) * budget->pattern_prune;
  if (budget->group == ESPALIER_GROUP_ROW) return rows * selection_count(columns, budget->sparsity);
  if (budget->group == ESPALIER_GROUP_COLUMN) return columns * selection_count(rows, budget->sparsity);
  return selection_count(rows * columns, budget->sparsity);
}

#define PROJECTION_TILE 16

struct projection_job {
  const float *values;  // [rows, columns]
  uint8_t *kept;        // [rows, columns]
  int64_t rows, columns, size, count;
  uint32_t threshold;
  int64_t last_tie;
};

// The matrix's group, one row: below the threshold, or equal to it and early enough.
static inline int32_t projection_matrix_row(void *context, int64_t row) {
  const struct projection_job *job = context;
  const float *restrict values = job->values + row * job->columns;
  uint8_t *restrict kept = job->kept + row * job->columns;
  const uint32_t threshold = job->threshold;
  const int64_t last = job->last_tie - row * job->columns;
  if (last >= job->columns - 1) {
    for (int64_t j = 0; j < job->columns; j++) kept[j] = selection_key(values[j]) > threshold;
  } else {
    for (int64_t j = 0; j < job->columns; j++) {
      const uint32_t key = selection_key(values[j]);
      kept[j] = key > threshold || (key == threshold && j > last);
    }
  }
  return ESPALIER_OK;
}

// Groups of `size` consecutive weights of one row.
static inline int32_t projection_group_row(void *context, int64_t row) {
  const struct projection_job *job = context;
  uint32_t *scratch = malloc((size_t)job->size * sizeof *scratch);
  if (scratch == NULL) return ESPALIER_OUT_OF_MEMORY;
  for (int64_t i = row * job->columns; i < (row + 1) * job->columns; i += job->size) {
    selection_mark(job->values + i, job->size, job->count, scratch, job->kept + i);
  }
  free(scratch);
  return ESPALIER_OK;
}

// PROJECTION_TILE columns, each a group.
static inline int32_t projection_column_tile(void *context, int64_t tile) {
  const struct projection_job *job = context;
  const int64_t n = job->rows, first = tile * PROJECTION_TILE;
  const int64_t width = job->columns - first < PROJECTION_TILE ? job->columns - first : PROJECTION_TILE;
  float *values = malloc((size_t)n * (sizeof(float) + sizeof(uint32_t) + 1));
  if (values == NULL) return ESPALIER_OUT_OF_MEMORY;
  uint32_t *scratch = (uint32_t *)(values + n);
  uint8_t *kept = (uint8_t *)(scratch + n);
  for (int64_t j = first; j < first + width; j++) {
    for (int64_t i = 0; i < n; i++) values[i] = job->values[i * job->columns + j];
    selection_mark(values, n, job->count, scratch, kept);
    for (int64_t i = 0; i < n; i++) job->kept[i * job->columns + j] = kept[i];
  }
  free(values);
  return ESPALIER_OK;
}

// Writes kept[rows, columns]: 0 for the smallest magnitudes that the budget prunes, 1 for the others.
static inline int32_t projection_mask(const espalier_host *host, const espalier_budget *budget, int64_t rows,
                                      int64_t columns, const float *values, uint8_t *kept) {
  struct projection_job job = {.values = values, .kept = kept, .rows = rows, .columns = columns};
  if (budget->pattern_size > 0 || budget->group == ESPALIER_GROUP_ROW) {
    const int pattern = budget->pattern_size > 0;
    job.size = pattern ? budget->pattern_size : columns;
    job.count = pattern ? budget->pattern_prune : selection_count(columns, budget->sparsity);
    return host->parallel_for(host, rows, projection_group_row, &job);
  }
  if (budget->group == ESPALIER_GROUP_COLUMN) {
    job.count = selection_count(rows, budget->sparsity);
    return host->parallel_for(host, (columns + PROJECTION_TILE - 1) / PROJECTION_TILE, projection_column_tile, &job);
  }
  const int64_t count = selection_count(rows * columns, budget->sparsity);
  if (count == 0) {
    memset(kept, 1, (size_t)(rows * columns));
    return ESPALIER_OK;
  }
  struct selection found;
  const int32_t status = selection_find(host, values, rows * columns, count - 1, &found);
  if (status != ESPALIER_OK) return status;
  job.threshold = found.key;
  job.last_tie = selection_last_tie(values, rows * columns, &found, count);
  return host->parallel_for(host, rows, projection_matrix_row, &job);
}

#endif
