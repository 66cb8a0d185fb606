// uniform-move: what pruned weights summed to is spread evenly over the kept ones: the "move" of MAMA as its authors
// describe it (Jiang, Fu and Zhang 2025, arXiv 2505.14052; formula from their published code of 2024).
//
//   w_j += (sum over pruned i of w_i) / |K| for each kept j      in a group: the matrix, a row, a column, M weights
//
// Sums are in double, in the order of the weights. A group that keeps nothing has nowhere to move to.

#include <stdlib.h>
#include <string.h>

#include "espalier_plugin.h"

struct group_job {
  const float *dense;
  const uint8_t *kept;
  float *weights;
  int64_t rows, columns, size;
};

// Moves within `count` weights, `stride` apart, from `first` on.
static void move_group(const struct group_job *job, int64_t first, int64_t count, int64_t stride) {
  double sum = 0;
  int64_t kept = 0;
  for (int64_t k = 0, i = first; k < count; k++, i += stride) {
    if (job->kept[i]) kept++;
    else sum += job->dense[i];
  }
  if (kept == 0 || kept == count) return;
  const double share = sum / (double)kept;
  for (int64_t k = 0, i = first; k < count; k++, i += stride) {
    if (job->kept[i]) job->weights[i] = (float)(job->dense[i] + share);
  }
}

static int32_t move_in_row(void *context, int64_t row) {
  const struct group_job *job = context;
  for (int64_t j = 0; j < job->columns; j += job->size) {
    move_group(job, row * job->columns + j, job->columns - j < job->size ? job->columns - j : job->size, 1);
  }
  return ESPALIER_OK;
}

static int32_t move_in_column(void *context, int64_t column) {
  const struct group_job *job = context;
  move_group(job, column, job->rows, job->columns);
  return ESPALIER_OK;
}

static int32_t compensate(const espalier_host *host, const espalier_matrix *matrix, const uint8_t *kept,
                          const espalier_budget *budget, const double *parameters, float *weights, float *bias,
                          espalier_message *message) {
  (void)parameters, (void)bias;
  struct group_job job = {.dense = matrix->weights, .kept = kept, .weights = weights, .rows = matrix->rows,
                          .columns = matrix->columns, .size = matrix->columns};
  int32_t status = ESPALIER_OK;
  if (budget != NULL && budget->pattern_size > 0) {
    job.size = budget->pattern_size;
    status = host->parallel_for(host, matrix->rows, move_in_row, &job);
  } else if (budget != NULL && budget->group == ESPALIER_GROUP_ROW) {
    status = host->parallel_for(host, matrix->rows, move_in_row, &job);
  } else if (budget != NULL && budget->group == ESPALIER_GROUP_COLUMN) {
    status = host->parallel_for(host, matrix->columns, move_in_column, &job);
  } else {
    move_group(&job, 0, matrix->rows * matrix->columns, 1);
  }
  if (status == ESPALIER_OK || status == ESPALIER_CANCELLED) return status;
  return espalier_report(message, status, "the host could not run a parallel loop over the groups");
}

static const espalier_compensator compensator = {
  .struct_size = sizeof(espalier_compensator),
  .statistics = ESPALIER_STATISTICS_NONE,
  .compensate = compensate,
};

static const void *get_extension(const char *id) {
  return strcmp(id, ESPALIER_COMPENSATOR) == 0 ? &compensator : NULL;
}

const espalier_plugin_descriptor espalier_plugin = {
  .struct_size = sizeof(espalier_plugin_descriptor),
  .abi_major = ESPALIER_ABI_MAJOR,
  .abi_minor = ESPALIER_ABI_MINOR,
  .id = "uniform-move",
  .version = "1.0.0",
  .summary = "The sum of the pruned weights of a group, spread evenly over the kept ones (MAMA, Jiang et al. 2025)",
  .vendor = "Espalier",
  .licence = "Apache-2.0",
  .url = "https://arxiv.org/abs/2505.14052",
  .get_extension = get_extension,
};
