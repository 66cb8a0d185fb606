// mean-to-bias: what pruned weights say on average goes to the bias (An et al. 2024, FLAP, arXiv 2312.11983).
//
//   b_i += sum over pruned j of w_ij mean(x_j)        mean over all tokens
//
// Kept weights stay as they are. Sums are in double.

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "espalier_plugin.h"
#include "moments.h"

struct rows_job {
  const espalier_matrix *matrix;
  const uint8_t *kept;
  float *bias;
};

static int32_t sum_row(void *context, int64_t row) {
  const struct rows_job *job = context;
  const espalier_moments *moments = job->matrix->moments;
  const int64_t n = job->matrix->columns;
  const float *weights = job->matrix->weights + row * n;
  double sum = 0;
  for (int64_t j = 0; j < n; j++) {
    if (!job->kept[row * n + j]) sum += weights[j] * moments->sum[j];
  }
  job->bias[row] = (float)(sum / (double)moments->tokens);
  return ESPALIER_OK;
}

static int32_t compensate(const espalier_host *host, const espalier_matrix *matrix, const uint8_t *kept,
                          const espalier_budget *budget, const double *parameters, float *weights, float *bias,
                          espalier_message *message) {
  (void)budget, (void)parameters, (void)weights;
  const espalier_moments *moments = matrix->moments;
  int32_t status = check_moments(matrix, message);
  if (status != ESPALIER_OK) return status;
  for (int64_t j = 0; j < matrix->columns; j++) {
    if (isfinite(moments->sum[j])) continue;
    snprintf(message->text, message->capacity, "input %lld of %s has the sum %g; check the dataset", (long long)j,
             matrix->tensor, moments->sum[j]);
    return ESPALIER_INVALID_ARGUMENT;
  }
  struct rows_job job = {.matrix = matrix, .kept = kept, .bias = bias};
  status = host->parallel_for(host, matrix->rows, sum_row, &job);
  if (status == ESPALIER_OK || status == ESPALIER_CANCELLED) return status;
  return espalier_report(message, status, "the host could not run a parallel loop over the rows");
}

static const espalier_compensator compensator = {
  .struct_size = sizeof(espalier_compensator),
  .statistics = ESPALIER_STATISTICS_MOMENTS,
  .changes_bias = 1,
  .compensate = compensate,
};

static const void *get_extension(const char *id) {
  return strcmp(id, ESPALIER_COMPENSATOR) == 0 ? &compensator : NULL;
}

const espalier_plugin_descriptor espalier_plugin = {
  .struct_size = sizeof(espalier_plugin_descriptor),
  .abi_major = ESPALIER_ABI_MAJOR,
  .abi_minor = ESPALIER_ABI_MINOR,
  .id = "mean-to-bias",
  .version = "1.0.0",
  .summary = "What pruned weights say on average goes to the bias (FLAP, An et al. 2024)",
  .vendor = "Espalier",
  .licence = "Apache-2.0",
  .url = "https://arxiv.org/abs/2312.11983",
  .get_extension = get_extension,
};
