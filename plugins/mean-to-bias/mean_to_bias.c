// mean-to-bias: what pruned weights say on average goes to the bias (An et al. 2024, FLAP, arXiv 2312.11983).
//
//   b_i += sum over pruned j of w_ij mean(x_j)        mean over all tokens
//
// Kept weights stay as they are. Sums are in double.

#include "declare.h"
#include "loops.h"
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
  int32_t status = check_moments(matrix, message);
  if (status == ESPALIER_OK) status = check_moment_sums(matrix, message);
  if (status != ESPALIER_OK) return status;
  struct rows_job job = {.matrix = matrix, .kept = kept, .bias = bias};
  return run_loop(host, matrix->rows, sum_row, &job, "rows", message);
}

COMPENSATOR_PLUGIN(
  "mean-to-bias", "What pruned weights say on average goes to the bias (FLAP, An et al. 2024)",
  "https://arxiv.org/abs/2312.11983",
  .statistics = ESPALIER_STATISTICS_MOMENTS, .changes_bias = 1, .compensate = compensate);
