// wanda-variant: Wanda with a sparsity of each row's own (the variant in the code of Sun et al. 2023, arXiv 2306.11695,
// option --use_variant).
//
//   S_ij = (sum of W_ik over the k of row i with W_ik <= W_ij) / (sum of W_ik over all k of row i)
//   W_ij = |W_ij| * ||X_j||_2, Wanda's score
//
// so a weight's score is the share of its row's importance that goes with it and all smaller ones. The published code
// prunes a row as long as that share is at most alpha, and bisects for the alpha that meets the sparsity of the matrix;
// scores that compete within the matrix, the default group, meet it by sorting. Equal weights of a row go in the order
// of columns. A row without importance scores 0 throughout.
//
// Wanda's score is rounded as in wanda.c, sums are in double, the share is rounded once. Within a row shares of nonzero
// weights grow by a factor of at least 1 + 1 / columns, so fp32 keeps their order.

#include <math.h>

#include "declare.h"
#include "rows.h"
#include "sorting.h"

static int32_t score_row_in(const struct scoring *scoring, int64_t row, const struct sorting_room *room,
                            float *scores) {
  const int64_t columns = scoring->matrix->columns;
  const float *weights = scoring->matrix->weights + row * columns;
  for (int64_t j = 0; j < columns; j++) {
    room->values[j] = fabsf(weights[j]) * scoring->norms[j];
    room->sorted[j] = room->values[j];
  }
  const int64_t bad = find_not_finite(room->values, columns);
  if (bad < columns) return give_up_row(scores, columns, bad, room->values[bad]);
  const int32_t status = sort_ascending(scoring->host, room->sorted, columns, room->keys, room->others);
  if (status != ESPALIER_OK) return status;
  double total = 0;
  for (int64_t k = 0; k < columns; k++) {
    total += (double)room->sorted[k];
    room->sums[k] = total;
    room->others[k] = 0;  // from here on: how many of the weights that are equal to sorted[k] were met
  }
  for (int64_t j = 0; j < columns; j++) {
    const int64_t smaller = count_smaller(room->sorted, columns, room->values[j]);
    const int64_t place = smaller + room->others[smaller]++;
    scores[j] = total > 0 ? (float)(room->sums[place] / total) : 0;
  }
  return ESPALIER_OK;
}

static int32_t score_row(const struct scoring *scoring, int64_t row, float *scores) {
  const struct sorting_room room = make_sorting_room(scoring->matrix->columns);
  if (room.sums == NULL) return ESPALIER_OUT_OF_MEMORY;
  const int32_t status = score_row_in(scoring, row, &room, scores);
  free(room.sums);
  return status;
}

static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                     float *scores, espalier_message *message) {
  return score_rows_by_norms(host, matrix, parameters, score_row, scores, message);
}

SELECTOR_PLUGIN(
  "wanda-variant", "Wanda's variant: share of the row's |W| * ||X|| up to the weight (Sun et al. 2023)",
  "https://arxiv.org/abs/2306.11695",
  .statistics = ESPALIER_STATISTICS_MOMENTS, .default_group = ESPALIER_GROUP_MATRIX, .score = score);
