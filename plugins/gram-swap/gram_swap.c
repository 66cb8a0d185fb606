// gram-swap: a mask made better by exchanging one kept and one pruned weight of a row at a time, with the exact change
// of the output error (after SparseSwaps, 2025, arXiv 2512.10922).
//
//   e = w on pruned weights, 0 elsewhere     c = G e     E = e G e^T, the row's output error
//   restore p, prune u:  dE = (w_p^2 G_pp - 2 w_p c_p) + (w_u^2 G_uu + 2 w_u c_u) - 2 w_p w_u G_pu
//
// Each step takes the best u for each of the `candidates` p of least first term, and of these pairs the best; with as
// many candidates as the row has pruned weights that is the best pair of all. In a pattern all pairs of every group are
// tried.
// Only steps that lower E are taken, so a row ends where no pair tried does. All of it is in double.

#include <math.h>
#include <stdlib.h>

#include "budget.h"
#include "declare.h"
#include "gram.h"
#include "loops.h"

enum { SWAPS, CANDIDATES };

struct refine_job {
  const espalier_host *host;
  const espalier_matrix *matrix;
  int64_t pattern_size, candidates;
  double swaps;
  uint8_t *kept;
};

// One row; arrays of n.
struct row {
  const float *gram;     // [n, n]
  const float *w;
  uint8_t *kept;
  double *c;             // G e
  double *restore;       // w_p^2 G_pp - 2 w_p c_p of pruned weights, infinite for kept ones
  double *prune;         // w_u^2 G_uu + 2 w_u c_u of kept weights, infinite for pruned ones
  int64_t *candidates;
  int64_t n;
};

struct swap {
  int64_t restored, pruned;
  double change;
};

// c += sign * w_j * G_j
static void add_column(struct row *row, int64_t j, double sign) {
  const double factor = sign * row->w[j];
  const float *restrict line = row->gram + j * row->n;
  double *restrict c = row->c;
  for (int64_t k = 0; k < row->n; k++) c[k] += factor * line[k];
}

static void find_terms(struct row *row) {
  for (int64_t j = 0; j < row->n; j++) {
    const double w = row->w[j], square = w * w * row->gram[j * (row->n + 1)];
    row->restore[j] = row->kept[j] ? INFINITY : square - 2 * w * row->c[j];
    row->prune[j] = row->kept[j] ? square + 2 * w * row->c[j] : INFINITY;
  }
}

// The best weight of first ..< end to prune when p is restored; improves `best`.
static void try_restored(const struct row *row, int64_t p, int64_t first, int64_t end, struct swap *best) {
  const float *line = row->gram + p * row->n;
  const double twice = 2 * (double)row->w[p];
  for (int64_t u = first; u < end; u++) {
    const double change = row->restore[p] + row->prune[u] - twice * row->w[u] * line[u];
    if (change < best->change) *best = (struct swap){p, u, change};
  }
}

// The indices of the `count` least restore terms, in no particular order; returns how many there are.
static int64_t find_candidates(const struct row *row, int64_t count) {
  int64_t found = 0, worst = 0;  // worst: position of the greatest among those found
  for (int64_t j = 0; j < row->n; j++) {
    if (row->kept[j]) continue;
    if (found < count) row->candidates[found++] = j;
    else if (row->restore[j] < row->restore[row->candidates[worst]]) row->candidates[worst] = j;
    else continue;
    if (found < count) continue;
    for (int64_t k = worst = 0; k < found; k++) {
      if (row->restore[row->candidates[k]] > row->restore[row->candidates[worst]]) worst = k;
    }
  }
  return found;
}

static struct swap find_swap(const struct refine_job *job, const struct row *row) {
  struct swap best = {-1, -1, 0};
  const int64_t size = job->pattern_size;
  if (size > 0) {
    for (int64_t p = 0; p < row->n; p++) {
      if (!row->kept[p]) try_restored(row, p, p - p % size, p - p % size + size, &best);
    }
    return best;
  }
  int64_t pruned = 0;
  for (int64_t j = 0; j < row->n; j++) pruned += !row->kept[j];
  if (job->candidates >= pruned) {
    for (int64_t p = 0; p < row->n; p++) {
      if (!row->kept[p]) try_restored(row, p, 0, row->n, &best);
    }
    return best;
  }
  const int64_t found = find_candidates(row, job->candidates);
  for (int64_t k = 0; k < found; k++) try_restored(row, row->candidates[k], 0, row->n, &best);
  return best;
}

static int32_t refine_row(void *context, int64_t i) {
  const struct refine_job *job = context;
  const int64_t n = job->matrix->columns;
  double *storage = calloc((size_t)n, 3 * sizeof(double) + sizeof(int64_t));
  if (storage == NULL) return ESPALIER_OUT_OF_MEMORY;
  struct row row = {.gram = job->matrix->gram->products, .w = job->matrix->weights + i * n, .kept = job->kept + i * n,
                    .c = storage, .restore = storage + n, .prune = storage + 2 * n,
                    .candidates = (int64_t *)(storage + 3 * n), .n = n};
  int64_t pruned = 0;
  double error = 0;
  for (int64_t j = 0; j < n; j++) {
    if (row.kept[j]) continue;
    add_column(&row, j, 1);
    pruned++;
  }
  for (int64_t j = 0; j < n; j++) error += row.kept[j] ? 0 : row.w[j] * row.c[j];
  // Less than rounding could make up is no gain; without this a row might go round in circles.
  const double least = -1e-12 * error;
  const int64_t swaps = (int64_t)ceil(job->swaps * (double)pruned);
  int32_t status = ESPALIER_OK;
  for (int64_t s = 0; s < swaps; s++) {
    if (job->host->cancelled(job->host)) {
      status = ESPALIER_CANCELLED;
      break;
    }
    find_terms(&row);
    const struct swap best = find_swap(job, &row);
    if (best.restored < 0 || !(best.change < least)) break;
    add_column(&row, best.restored, -1);
    add_column(&row, best.pruned, 1);
    row.kept[best.restored] = 1;
    row.kept[best.pruned] = 0;
  }
  free(storage);
  return status;
}

static int32_t refine(const espalier_host *host, const espalier_matrix *matrix, const espalier_budget *budget,
                      const float *scores, const double *parameters, uint8_t *kept, espalier_message *message) {
  (void)scores;
  const int32_t status = check_gram(host, matrix, message);
  if (status != ESPALIER_OK) return status;
  struct refine_job job = {.host = host, .matrix = matrix, .pattern_size = budget_pattern(budget, matrix->columns),
                           .candidates = (int64_t)parameters[CANDIDATES], .swaps = parameters[SWAPS], .kept = kept};
  return run_loop(host, matrix->rows, refine_row, &job, "rows", message);
}

static const espalier_parameter *const parameter_list[] = {
  [SWAPS] = NUMBER("swaps", 0.25, 0, 100, "Most exchanges in a row, as a fraction of its pruned weights"),
  [CANDIDATES] = INTEGER("candidates", 8, 1, 1048576,
                         "Pruned weights that a step tries to restore; as many as a row has make the step exact"),
};

REFINER_PLUGIN(
  "gram-swap",
  "Exchanges of one kept and one pruned weight that lower the exact output error (after SparseSwaps, 2025)",
  "https://arxiv.org/abs/2512.10922",
  .statistics = ESPALIER_STATISTICS_GRAM, PARAMETERS(parameter_list), .refine = refine);
