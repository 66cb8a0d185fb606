// columns.h: sums over the rows of a matrix, one for each column, in double.
// Shared by bundled plugins; a plugin of your own needs only espalier_plugin.h. Allocates nothing, keeps no state.

#ifndef ESPALIER_SUPPORT_COLUMNS_H
#define ESPALIER_SUPPORT_COLUMNS_H

#include <math.h>
#include <stdio.h>

#include "espalier_plugin.h"

// Columns that one body of the parallel loop sums: 1 KB of each row.
#define COLUMNS_PER_BODY 256

struct columns_loop {
  const espalier_matrix *matrix;
  double *sums;  // [columns]
  int squared;
};

static inline int32_t columns_loop_body(void *context, int64_t index) {
  const struct columns_loop *loop = context;
  const espalier_matrix *matrix = loop->matrix;
  const int64_t begin = index * COLUMNS_PER_BODY;
  const int64_t rest = matrix->columns - begin;
  const int64_t count = rest < COLUMNS_PER_BODY ? rest : COLUMNS_PER_BODY;
  double *restrict sums = loop->sums + begin;
  for (int64_t j = 0; j < count; j++) sums[j] = 0;
  for (int64_t row = 0; row < matrix->rows; row++) {
    const float *restrict weights = matrix->weights + row * matrix->columns + begin;
    if (loop->squared) {
      for (int64_t j = 0; j < count; j++) sums[j] += (double)weights[j] * (double)weights[j];
    } else {
      for (int64_t j = 0; j < count; j++) sums[j] += fabs((double)weights[j]);
    }
  }
  return ESPALIER_OK;
}

// Says which weight makes the sum of column j no finite number.
static inline int32_t report_bad_column(const espalier_matrix *matrix, int64_t j, espalier_message *message) {
  int64_t row = 0;
  while (row + 1 < matrix->rows && isfinite(matrix->weights[row * matrix->columns + j])) row++;
  snprintf(message->text, message->capacity, "the weight in row %lld, column %lld of %s is %g; check the checkpoint",
           (long long)row, (long long)j, matrix->tensor, (double)matrix->weights[row * matrix->columns + j]);
  return ESPALIER_INVALID_ARGUMENT;
}

// sums[j] = sum over rows i of W_ij^2 if `squared`, else of |W_ij|. Rows are added in order: same bits on any number of
// threads. Fails with ESPALIER_INVALID_ARGUMENT if a weight is not finite.
static inline int32_t sum_columns(const espalier_host *host, const espalier_matrix *matrix, int squared,
                                  double *sums, espalier_message *message) {
  struct columns_loop loop = {.matrix = matrix, .sums = sums, .squared = squared};
  const int64_t bodies = (matrix->columns - 1) / COLUMNS_PER_BODY + 1;
  const int32_t status = host->parallel_for(host, bodies, columns_loop_body, &loop);
  if (status == ESPALIER_CANCELLED) return status;
  if (status != ESPALIER_OK) {
    return espalier_report(message, status, "the host could not run a parallel loop over the columns");
  }
  for (int64_t j = 0; j < matrix->columns; j++) {
    if (!isfinite(sums[j])) return report_bad_column(matrix, j, message);
  }
  return ESPALIER_OK;
}

#endif  // ESPALIER_SUPPORT_COLUMNS_H
