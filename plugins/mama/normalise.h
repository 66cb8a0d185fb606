// normalise.h: terms made comparable, N, and their weighted sum, in double.
//
//   N   mean: divided by the mean magnitude of the term; rank: the fraction of the term that is smaller; none;
//       each within the row of the weight or within the matrix

#ifndef ESPALIER_MAMA_NORMALISE_H
#define ESPALIER_MAMA_NORMALISE_H

#include <stdlib.h>

#include "rows.h"
#include "sorting.h"
#include "terms.h"

#define MOST_TERMS 3

// Choices of the parameters of these names.
enum { MEAN, RANK, NONE };
enum { ROW, MATRIX };

struct mix {
  const espalier_host *host;
  const espalier_matrix *matrix;
  struct term terms[MOST_TERMS];
  int term_count;
  int normalisation;
  int scope;
};

static inline double mean_magnitude(const float *values, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum += fabs((double)values[i]);
  return sum / (double)count;
}

// room->sums += weight * N(room->values), values that are finite.
static inline int32_t add_term(const struct mix *mix, const struct term *term, const struct sorting_room *room) {
  const int64_t columns = mix->matrix->columns;
  if (mix->normalisation == RANK) {
    const float *sorted = term->sorted;
    int64_t count = mix->matrix->rows * columns;
    if (mix->scope == ROW) {
      memcpy(room->sorted, room->values, (size_t)columns * sizeof *room->values);
      const int32_t status = sort_ascending(mix->host, room->sorted, columns, room->keys, room->others);
      if (status != ESPALIER_OK) return status;
      sorted = room->sorted;
      count = columns;
    }
    for (int64_t j = 0; j < columns; j++) {
      room->sums[j] += term->weight * ((double)count_smaller(sorted, count, room->values[j]) / (double)count);
    }
    return ESPALIER_OK;
  }
  double divisor = 1;
  if (mix->normalisation == MEAN) divisor = mix->scope == ROW ? mean_magnitude(room->values, columns) : term->mean;
  if (divisor == 0) divisor = 1;  // all of the term is 0, and stays so
  for (int64_t j = 0; j < columns; j++) room->sums[j] += term->weight * ((double)room->values[j] / divisor);
  return ESPALIER_OK;
}

// A score_row_function over a mix.
static inline int32_t score_mixed_row(const struct scoring *scoring, int64_t row, float *scores) {
  const struct mix *mix = scoring->more;
  const int64_t columns = mix->matrix->columns;
  const struct sorting_room room = make_sorting_room(columns);
  if (room.sums == NULL) return ESPALIER_OUT_OF_MEMORY;
  int32_t status = ESPALIER_OK;
  int64_t bad = columns;
  for (int t = 0; t < mix->term_count && status == ESPALIER_OK && bad == columns; t++) {
    mix->terms[t].fill(&mix->terms[t], mix->matrix, row, room.values);
    bad = find_not_finite(room.values, columns);
    if (bad == columns) status = add_term(mix, &mix->terms[t], &room);
  }
  if (bad < columns) {
    status = give_up_row(scores, columns, bad, room.values[bad]);
  } else {
    for (int64_t j = 0; j < columns; j++) scores[j] = (float)room.sums[j];
  }
  free(room.sums);
  return status;
}

// ---------------------------------------------------------------------------------------------------------------------
// Within the matrix: the whole term before any of its scores

// A score_row_function over a term.
static inline int32_t fill_row(const struct scoring *scoring, int64_t row, float *values) {
  const struct term *term = scoring->more;
  term->fill(term, scoring->matrix, row, values);
  return ESPALIER_OK;
}

// Sets term->mean, or term->sorted, which the caller frees. `values` is room for the whole term.
static inline int32_t survey_term(const struct mix *mix, struct term *term, float *values, espalier_message *message) {
  const espalier_matrix *matrix = mix->matrix;
  const int64_t count = matrix->rows * matrix->columns;
  const struct scoring filling = {.host = mix->host, .matrix = matrix, .more = term};
  int32_t status = score_rows(&filling, fill_row, values, message);
  if (status != ESPALIER_OK) return status;
  if (mix->normalisation == MEAN) {
    double sum = 0;
    for (int64_t row = 0; row < matrix->rows; row++) {
      if (mix->host->cancelled(mix->host)) return ESPALIER_CANCELLED;
      sum += mean_magnitude(values + row * matrix->columns, matrix->columns);
    }
    term->mean = sum / (double)matrix->rows;
    return ESPALIER_OK;
  }
  term->sorted = calloc((size_t)count, sizeof *term->sorted);
  uint32_t *keys = calloc((size_t)count, sizeof *keys);
  uint32_t *others = calloc((size_t)count, sizeof *others);
  if (term->sorted == NULL || keys == NULL || others == NULL) {
    status = espalier_report(message, ESPALIER_OUT_OF_MEMORY,
                             "no memory to rank within the matrix; take the scope 'row', or normalisation 'mean'");
  } else {
    memcpy(term->sorted, values, (size_t)count * sizeof *values);
    status = sort_ascending(mix->host, term->sorted, count, keys, others);
  }
  free(others);
  free(keys);
  return status;
}

// `scores` serves as room for each term, before the scores are written to it.
static inline int32_t survey_terms(struct mix *mix, float *scores, espalier_message *message) {
  if (mix->scope == ROW || mix->normalisation == NONE) return ESPALIER_OK;
  for (int t = 0; t < mix->term_count; t++) {
    const int32_t status = survey_term(mix, &mix->terms[t], scores, message);
    if (status != ESPALIER_OK) return status;
  }
  return ESPALIER_OK;
}

#endif
