// columns.h: sums over the rows of a matrix, one for each column, in double.

#ifndef ESPALIER_SUPPORT_COLUMNS_H
#define ESPALIER_SUPPORT_COLUMNS_H

#include <math.h>
#include <stdlib.h>

#include "loops.h"

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
  return refuse(message, "the weight in row %lld, column %lld of %s is %g; check the checkpoint",
                (long long)row, (long long)j, matrix->tensor, (double)matrix->weights[row * matrix->columns + j]);
}

// (*sums)[j] = sum over rows i of W_ij^2 if `squared`, else of |W_ij|, in memory that the caller frees; NULL unless the
// status is ESPALIER_OK. Rows are added in order: same bits on any number of threads. Fails with
// ESPALIER_INVALID_ARGUMENT if a weight is not finite.
static inline int32_t make_column_sums(const espalier_host *host, const espalier_matrix *matrix, int squared,
                                       double **sums, espalier_message *message) {
  *sums = calloc((size_t)matrix->columns, sizeof **sums);
  if (*sums == NULL) {
    return espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for one number per input of the matrix");
  }
  struct columns_loop loop = {.matrix = matrix, .sums = *sums, .squared = squared};
  const int64_t bodies = (matrix->columns - 1) / COLUMNS_PER_BODY + 1;
  int32_t status = run_loop(host, bodies, columns_loop_body, &loop, "columns", message);
  for (int64_t j = 0; j < matrix->columns && status == ESPALIER_OK; j++) {
    if (!isfinite((*sums)[j])) status = report_bad_column(matrix, j, message);
  }
  if (status == ESPALIER_OK) return status;
  free(*sums);
  *sums = NULL;
  return status;
}

#endif
