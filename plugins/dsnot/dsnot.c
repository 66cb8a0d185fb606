// dsnot: a mask made better by exchanges: dynamic sparse no training (Zhang et al. 2024, arXiv 2310.08915,
// algorithm 1).
//
//   e_i = sum over pruned j of w_ij m_j        m_j: mean over sequences of the sum over a sequence's tokens of x_j
//
// A cycle in a row with e > 0 restores the pruned weight of greatest w_j m_j / var_j and prunes the kept weight of
// least score among those with w_j m_j < 0; with e < 0 the signs are the other way. A row is done when
// |e| <= threshold, when e would change its sign, when no candidate is left, or after `cycles`. Each weight moves at
// most once. In a pattern the weight to prune is the one of least score in the group of the restored one, whatever its
// sign, as published.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "declare.h"
#include "loops.h"
#include "norms.h"

enum { CYCLES, THRESHOLD, VARIANCE_POWER };

struct refine_job {
  const espalier_host *host;
  const espalier_matrix *matrix;
  const float *scores;  // [rows, columns], or NULL: |w| * norms
  const double *means;  // [columns] m_j
  const double *powers; // [columns] var_j^p
  const float *norms;   // [columns] Wanda's
  int64_t pattern_size, cycles;
  double threshold;
  uint8_t *kept;
};

// What one row needs; arrays of `columns`.
struct row {
  double *gains;      // w_j m_j
  double *keys;       // gains / var^p of those that were pruned
  float *scores;
  uint8_t *movable;   // 1: not moved yet
  const uint8_t *was; // the mask on entry
  int64_t columns;
};

// The pruned weight that moves e most towards 0 for what is known of it, or -1. Ties: the first.
static int64_t find_restored(const struct row *row, int sign) {
  int64_t best = -1;
  for (int64_t j = 0; j < row->columns; j++) {
    if (row->was[j] || !row->movable[j] || !(row->gains[j] * sign > 0)) continue;
    if (best < 0 || row->keys[j] * sign > row->keys[best] * sign) best = j;
  }
  return best;
}

// The kept weight of least score in first ..< end, of the other sign unless `any_sign`, or -1. Ties: the first.
static int64_t find_pruned(const struct row *row, int sign, int64_t first, int64_t end, int any_sign) {
  int64_t best = -1;
  for (int64_t j = first; j < end; j++) {
    if (!row->was[j] || !row->movable[j] || (!any_sign && !(row->gains[j] * sign < 0))) continue;
    if (best < 0 || row->scores[j] < row->scores[best]) best = j;
  }
  return best;
}

static int32_t exchange(const struct refine_job *job, struct row *row, uint8_t *kept) {
  double error = 0;
  for (int64_t j = 0; j < row->columns; j++) error += row->was[j] ? 0 : row->gains[j];
  const int sign = error > 0 ? 1 : -1;
  for (int64_t cycle = 0; cycle < job->cycles && fabs(error) > job->threshold; cycle++) {
    if (job->host->cancelled(job->host)) return ESPALIER_CANCELLED;
    const int64_t restored = find_restored(row, sign);
    if (restored < 0) break;
    const int64_t size = job->pattern_size, first = size > 0 ? restored - restored % size : 0;
    const int64_t pruned = find_pruned(row, sign, first, size > 0 ? first + size : row->columns, size > 0);
    row->movable[restored] = 0;
    if (pruned < 0 && size > 0) continue;  // this group has no more to give
    if (pruned < 0) break;
    row->movable[pruned] = 0;
    const double after = error + row->gains[pruned] - row->gains[restored];
    if (!(after * sign > 0)) break;
    kept[restored] = 1;
    kept[pruned] = 0;
    error = after;
  }
  return ESPALIER_OK;
}

static int32_t refine_row(void *context, int64_t i) {
  const struct refine_job *job = context;
  const int64_t n = job->matrix->columns;
  uint8_t *kept = job->kept + i * n;
  double *storage = malloc((size_t)n * (2 * sizeof(double) + sizeof(float) + 2));
  if (storage == NULL) return ESPALIER_OUT_OF_MEMORY;
  struct row row = {.gains = storage, .keys = storage + n, .columns = n};
  row.scores = (float *)(storage + 2 * n);
  row.movable = (uint8_t *)(row.scores + n);
  uint8_t *was = row.movable + n;
  memcpy(was, kept, (size_t)n);
  memset(row.movable, 1, (size_t)n);
  row.was = was;
  for (int64_t j = 0; j < n; j++) {
    const float w = job->matrix->weights[i * n + j];
    row.gains[j] = w * job->means[j];
    row.keys[j] = row.gains[j] / job->powers[j];  // infinite for an input that never varies: its part is certain
    row.scores[j] = job->scores != NULL ? job->scores[i * n + j] : fabsf(w) * job->norms[j];
  }
  const int32_t status = exchange(job, &row, kept);
  free(storage);
  return status;
}

// Writes the three arrays of a job, [columns] each; fails with ESPALIER_INVALID_ARGUMENT unless the moments allow it.
static int32_t prepare(const espalier_matrix *matrix, double variance_power, double *means, double *powers,
                       float *norms, espalier_message *message) {
  int32_t status = compute_norm_powers(matrix, 1, "check the dataset", norms, message);
  if (status == ESPALIER_OK) status = check_moment_sums(matrix, message);
  if (status != ESPALIER_OK) return status;
  for (int64_t j = 0; j < matrix->columns; j++) {
    means[j] = matrix->moments->sum[j] / (double)matrix->moments->sequences;
    powers[j] = pow(input_variance(matrix->moments, j), variance_power);
  }
  return ESPALIER_OK;
}

static int32_t refine(const espalier_host *host, const espalier_matrix *matrix, const espalier_budget *budget,
                      const float *scores, const double *parameters, uint8_t *kept, espalier_message *message) {
  const int64_t n = matrix->columns;
  double *means = malloc((size_t)n * (2 * sizeof(double) + sizeof(float)));
  if (means == NULL) return espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for the moments");
  double *powers = means + n;
  float *norms = (float *)(powers + n);
  int32_t status = prepare(matrix, parameters[VARIANCE_POWER], means, powers, norms, message);
  if (status == ESPALIER_OK) {
    struct refine_job job = {.host = host, .matrix = matrix, .scores = scores, .means = means, .powers = powers,
                             .norms = norms, .pattern_size = budget_pattern(budget, n),
                             .cycles = (int64_t)parameters[CYCLES], .threshold = parameters[THRESHOLD], .kept = kept};
    status = run_loop(host, matrix->rows, refine_row, &job, "rows", message);
  }
  free(means);
  return status;
}

static const espalier_parameter *const parameter_list[] = {
  [CYCLES] = INTEGER("cycles", 50, 0, 100000, "Most exchanges in a row"),
  [THRESHOLD] = NUMBER("threshold", 0.1, 0, 1e9,
                       "A row is done when its expected error, summed over a sequence's tokens, is no more than this"),
  [VARIANCE_POWER] = NUMBER(
    "variancePower", 1, 0, 4,
    "How much the variance of an input counts against restoring a weight: 1 as published, 0 not at all"),
};

REFINER_PLUGIN(
  "dsnot", "DSnoT: exchanges that bring the expected error of each output towards 0 (Zhang et al. 2024)",
  "https://arxiv.org/abs/2310.08915",
  .statistics = ESPALIER_STATISTICS_MOMENTS, PARAMETERS(parameter_list), .refine = refine);
