// rows.h: a selector's scores, row by row on the host's threads.

#ifndef ESPALIER_SUPPORT_ROWS_H
#define ESPALIER_SUPPORT_ROWS_H

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "loops.h"
#include "norms.h"

// What the rows of one call share.
struct scoring {
  const espalier_host *host;
  const espalier_matrix *matrix;
  const double *parameters;
  const float *norms;  // [columns] of the inputs, or powers of them; NULL for selectors without
  const void *more;    // what is the selector's own
};

// Writes scores[columns] of one row; returns a status as score() does, without a message.
typedef int32_t (*score_row_function)(const struct scoring *scoring, int64_t row, float *scores);

struct rows_loop {
  const struct scoring *scoring;
  score_row_function score_row;
  float *scores;                  // [rows, columns]
  int must_be_finite;
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
  const int64_t columns = loop->scoring->matrix->columns;
  float *scores = loop->scores + row * columns;
  const int32_t status = loop->score_row(loop->scoring, row, scores);
  if (status != ESPALIER_OK) return status;
  if (loop->must_be_finite && find_not_finite(scores, columns) < columns) {
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
  char made_of[128] = "";
  if (gradients != NULL && gradients->sum != NULL && gradients->sum_of_squares != NULL) {
    snprintf(made_of, sizeof made_of, ", the sum of its gradients %g and of their squares %g",
             (double)gradients->sum[i], (double)gradients->sum_of_squares[i]);
  }
  return refuse(message,
                "the score of the weight in row %lld, column %lld of %s is %g, which is no finite fp32 number; the "
                "weight is %g%s; check the checkpoint and the dataset",
                (long long)row, (long long)j, matrix->tensor, (double)scores[i], (double)matrix->weights[i], made_of);
}

// scores[row, :] for all rows, by `score_row`, on the host's threads; the host polls for cancellation between rows.
// Fails with ESPALIER_INVALID_ARGUMENT, and says which weight is to blame, if a score is not finite: always the first.
static inline int32_t score_rows(const struct scoring *scoring, score_row_function score_row, float *scores,
                                 espalier_message *message) {
  const espalier_matrix *matrix = scoring->matrix;
  struct rows_loop loop = {.scoring = scoring, .score_row = score_row, .scores = scores, .must_be_finite = 1};
  atomic_init(&loop.first_bad_row, INT64_MAX);
  const int32_t status = run_loop(scoring->host, matrix->rows, rows_loop_body, &loop, "rows", message);
  if (status != ESPALIER_OK) return status;
  const int64_t bad = atomic_load(&loop.first_bad_row);
  return bad == INT64_MAX ? ESPALIER_OK : report_bad_score(matrix, scores, bad, message);
}

// The same for selectors to whom infinities are scores.
static inline int32_t write_rows(const struct scoring *scoring, score_row_function score_row, float *scores,
                                 espalier_message *message) {
  struct rows_loop loop = {.scoring = scoring, .score_row = score_row, .scores = scores};
  return run_loop(scoring->host, scoring->matrix->rows, rows_loop_body, &loop, "rows", message);
}

// score_rows with the norms of the inputs, which it makes.
static inline int32_t score_rows_by_norms(const espalier_host *host, const espalier_matrix *matrix,
                                          const double *parameters, score_row_function score_row, float *scores,
                                          espalier_message *message) {
  float *norms;
  int32_t status = make_norms(matrix, &norms, message);
  if (status != ESPALIER_OK) return status;
  const struct scoring scoring = {.host = host, .matrix = matrix, .parameters = parameters, .norms = norms};
  status = score_rows(&scoring, score_row, scores, message);
  free(norms);
  return status;
}

#endif
