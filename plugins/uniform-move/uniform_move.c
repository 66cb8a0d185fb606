// uniform-move: what pruned weights summed to is spread evenly over the kept ones: the "move" of MAMA as its authors
// describe it (Jiang, Fu and Zhang 2025, arXiv 2505.14052; formula from their published code of 2024).
//
//   w_j += (sum over pruned i of w_i) / |K| for each kept j      in a group: the matrix, a row, a column, M weights
//
// Sums are in double, in the order of the weights. A group that keeps nothing has nowhere to move to.

#include "declare.h"
#include "loops.h"

#define POLL (INT64_C(1) << 20)  // weights between two looks for cancellation

struct group_job {
  const espalier_host *host;
  const float *dense;
  const uint8_t *kept;
  float *weights;
  int64_t rows, columns, size;
};

// Moves within `count` weights, `stride` apart, from `first` on.
static int32_t move_group(const struct group_job *job, int64_t first, int64_t count, int64_t stride) {
  double sum = 0;
  int64_t kept = 0;
  for (int64_t k = 0, i = first; k < count; k++, i += stride) {
    if (k % POLL == POLL - 1 && job->host->cancelled(job->host)) return ESPALIER_CANCELLED;
    if (job->kept[i]) kept++;
    else sum += job->dense[i];
  }
  if (kept == 0 || kept == count) return ESPALIER_OK;
  const double share = sum / (double)kept;
  for (int64_t k = 0, i = first; k < count; k++, i += stride) {
    if (k % POLL == POLL - 1 && job->host->cancelled(job->host)) return ESPALIER_CANCELLED;
    if (job->kept[i]) job->weights[i] = (float)(job->dense[i] + share);
  }
  return ESPALIER_OK;
}

static int32_t move_in_row(void *context, int64_t row) {
  const struct group_job *job = context;
  int32_t status = ESPALIER_OK;
  for (int64_t j = 0; j < job->columns && status == ESPALIER_OK; j += job->size) {
    const int64_t rest = job->columns - j;
    status = move_group(job, row * job->columns + j, rest < job->size ? rest : job->size, 1);
  }
  return status;
}

static int32_t move_in_column(void *context, int64_t column) {
  const struct group_job *job = context;
  return move_group(job, column, job->rows, job->columns);
}

static int32_t compensate(const espalier_host *host, const espalier_matrix *matrix, const uint8_t *kept,
                          const espalier_budget *budget, const double *parameters, float *weights, float *bias,
                          espalier_message *message) {
  (void)parameters, (void)bias;
  struct group_job job = {.host = host, .dense = matrix->weights, .kept = kept, .weights = weights,
                          .rows = matrix->rows, .columns = matrix->columns, .size = matrix->columns};
  const int is_pattern = budget != NULL && budget->pattern_size > 0;
  const int32_t group = budget == NULL ? ESPALIER_GROUP_MATRIX : budget->group;
  if (is_pattern) job.size = budget->pattern_size;
  if (is_pattern || group == ESPALIER_GROUP_ROW) {
    return run_loop(host, matrix->rows, move_in_row, &job, "groups", message);
  }
  if (group == ESPALIER_GROUP_COLUMN) {
    return run_loop(host, matrix->columns, move_in_column, &job, "groups", message);
  }
  return move_group(&job, 0, matrix->rows * matrix->columns, 1);
}

COMPENSATOR_PLUGIN(
  "uniform-move",
  "The sum of the pruned weights of a group, spread evenly over the kept ones (MAMA, Jiang et al. 2025)",
  "https://arxiv.org/abs/2505.14052",
  .statistics = ESPALIER_STATISTICS_NONE, .compensate = compensate);
