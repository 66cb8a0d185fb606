// rows.h: a loop over the rows of a matrix, for selectors whose scores must all be numbers.
// Shared by bundled plugins; a plugin of your own needs only espalier_plugin.h. Allocates nothing, keeps no state.

#ifndef ESPALIER_SUPPORT_ROWS_H
#define ESPALIER_SUPPORT_ROWS_H

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>

#include "espalier_plugin.h"

// Writes the scores of one row. `job` is the plugin's own; it returns a status as score() does, without a message.
typedef int32_t (*score_row_function)(const void *job, int64_t row, float *scores);

struct rows_loop {
  score_row_function score_row;
  const void *job;
  float *scores;  // [rows, columns]
  int64_t columns;
  _Atomic int64_t first_bad_row;  // the least row with a score that is not finite; INT64_MAX if there is none
};

// The first of `count` numbers that is not finite; `count` if all are.
static inline int64_t find_not_finite(const float *values, int64_t count) {
  int finite = 1;
  for (int64_t j = 0; j < count; j++) finite &= isfinite(values[j]) != 0;
  if (finite) return count;
  int64_t j = 0;
  while (isfinite(values[j])) j++;
  return j;
}

// For a row whose element j is at fault and would spoil the others: leaves it to score_rows to say so.
static inline int32_t give_up_row(float *scores, int64_t columns, int64_t j, float value) {
  for (int64_t k = 0; k < columns; k++) scores[k] = 0;
  scores[j] = value;
  return ESPALIER_OK;
}

static inline int32_t rows_loop_body(void *context, int64_t row) {
  struct rows_loop *loop = context;
  float *scores = loop->scores + row * loop->columns;
  const int32_t status = loop->score_row(loop->job, row, scores);
  if (status != ESPALIER_OK) return status;
  if (find_not_finite(scores, loop->columns) < loop->columns) {
    int64_t known = atomic_load(&loop->first_bad_row);
    while (row < known && !atomic_compare_exchange_weak(&loop->first_bad_row, &known, row)) {}
  }
  return ESPALIER_OK;
}

// Says what made the first score of row `row` that is not finite: the weight, and its gradients if there are any.
static inline int32_t report_bad_score(const espalier_matrix *matrix, const float *scores, int64_t row,
                                       espalier_message *message) {
  const int64_t j = find_not_finite(scores + row * matrix->columns, matrix->columns);
  const int64_t i = row * matrix->columns + j;
  const espalier_gradients *gradients =
    matrix->gradients != NULL ? matrix->gradients : matrix->regional_gradients;
  int length = snprintf(message->text, message->capacity,
                        "the score of the weight in row %lld, column %lld of %s is %g, which is no finite fp32 number; "
                        "the weight is %g",
                        (long long)row, (long long)j, matrix->tensor, (double)scores[i], (double)matrix->weights[i]);
  if (length < 0 || (size_t)length >= message->capacity) return ESPALIER_INVALID_ARGUMENT;
  const size_t used = (size_t)length;
  if (gradients != NULL && gradients->sum != NULL && gradients->sum_of_squares != NULL) {
    snprintf(message->text + used, message->capacity - used,
             ", the sum of its gradients %g and of their squares %g; check the checkpoint and the dataset",
             (double)gradients->sum[i], (double)gradients->sum_of_squares[i]);
  } else {
    snprintf(message->text + used, message->capacity - used, "; check the checkpoint and the dataset");
  }
  return ESPALIER_INVALID_ARGUMENT;
}

// scores[row, :] for all rows, by `score_row`, on the host's threads; the host polls for cancellation between rows.
// Fails with ESPALIER_INVALID_ARGUMENT, and says which weight is to blame, if a score is not finite: always the first.
static inline int32_t score_rows(const espalier_host *host, const espalier_matrix *matrix,
                                 score_row_function score_row, const void *job, float *scores,
                                 espalier_message *message) {
  struct rows_loop loop = {.score_row = score_row, .job = job, .scores = scores, .columns = matrix->columns};
  atomic_init(&loop.first_bad_row, INT64_MAX);
  const int32_t status = host->parallel_for(host, matrix->rows, rows_loop_body, &loop);
  if (status == ESPALIER_OUT_OF_MEMORY) return espalier_report(message, status, "no memory for a row of the matrix");
  if (status != ESPALIER_OK && status != ESPALIER_CANCELLED) {
    return espalier_report(message, status, "the host could not run a parallel loop over the rows");
  }
  if (status != ESPALIER_OK) return status;
  const int64_t bad = atomic_load(&loop.first_bad_row);
  return bad == INT64_MAX ? ESPALIER_OK : report_bad_score(matrix, scores, bad, message);
}

#endif  // ESPALIER_SUPPORT_ROWS_H
