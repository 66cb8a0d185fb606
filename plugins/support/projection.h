// projection.h: the mask of largest magnitudes under a budget: in the matrix, in each row, in each column, or N of M.
//
// The step that solvers repeat: the nearest matrix, in the plain norm, that keeps as many weights as it may.

#ifndef ESPALIER_SUPPORT_PROJECTION_H
#define ESPALIER_SUPPORT_PROJECTION_H

#include "budget.h"
#include "selection.h"

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
  const int64_t at = row * job->columns;
  return selection_mark_groups(job->values + at, job->columns, job->size, job->count, job->kept + at);
}

// PROJECTION_TILE columns, each a group.
static inline int32_t projection_column_tile(void *context, int64_t tile) {
  const struct projection_job *job = context;
  const int64_t first = tile * PROJECTION_TILE;
  const int64_t end = first + PROJECTION_TILE < job->columns ? first + PROJECTION_TILE : job->columns;
  int32_t status = ESPALIER_OK;
  for (int64_t j = first; j < end && status == ESPALIER_OK; j++) {
    status = selection_mark_column(job->values + j, job->rows, job->columns, job->count, job->kept + j, job->columns);
  }
  return status;
}

// Writes kept[rows, columns]: 0 for the smallest magnitudes that the budget prunes, 1 for the others.
static inline int32_t projection_mask(const espalier_host *host, const espalier_budget *budget, int64_t rows,
                                      int64_t columns, const float *values, uint8_t *kept) {
  struct projection_job job = {.values = values, .kept = kept, .rows = rows, .columns = columns};
  if (budget->pattern_size > 0 || budget->group == ESPALIER_GROUP_ROW) {
    const int pattern = budget->pattern_size > 0;
    job.size = pattern ? budget->pattern_size : columns;
    job.count = pattern ? budget->pattern_prune : budget_count(columns, budget->sparsity);
    return host->parallel_for(host, rows, projection_group_row, &job);
  }
  if (budget->group == ESPALIER_GROUP_COLUMN) {
    job.count = budget_count(rows, budget->sparsity);
    return host->parallel_for(host, (columns + PROJECTION_TILE - 1) / PROJECTION_TILE, projection_column_tile, &job);
  }
  const int64_t count = budget_count(rows * columns, budget->sparsity);
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
