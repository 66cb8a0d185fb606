// magnitude: the score of a weight is how large it is, S_ij = |W_ij|.
// The oldest criterion there is (Janowsky 1989; Han et al. 2015, arXiv 1506.02626) and the baseline of all others.
// Needs no data. As published for language models it competes within the whole matrix, its default group.
//
// Exact: clearing a float's sign loses nothing. -0 scores as 0. A NaN weight gives a NaN score, which the host refuses.

#include <math.h>
#include <string.h>

#include "espalier_plugin.h"

struct rows_job {
  const float *weights;  // [rows, columns]
  float *scores;         // [rows, columns]
  int64_t columns;
};

// scores[row, :] = |weights[row, :]|
static int32_t score_row(void *context, int64_t row) {
  const struct rows_job *job = context;
  const float *restrict weights = job->weights + row * job->columns;
  float *restrict scores = job->scores + row * job->columns;
  for (int64_t i = 0; i < job->columns; i++) scores[i] = fabsf(weights[i]);
  return ESPALIER_OK;
}

// Rows are independent; parallel_for polls for cancellation between them.
static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                     float *scores, espalier_message *message) {
  (void)parameters;
  struct rows_job job = {.weights = matrix->weights, .scores = scores, .columns = matrix->columns};
  int32_t status = host->parallel_for(host, matrix->rows, score_row, &job);
  if (status == ESPALIER_OK || status == ESPALIER_CANCELLED) return status;
  return espalier_report(message, status, "the host could not run a parallel loop over the rows");
}

static const espalier_selector selector = {
  .struct_size = sizeof(espalier_selector),
  .statistics = ESPALIER_STATISTICS_NONE,
  .default_group = ESPALIER_GROUP_MATRIX,
  .score = score,
};

static const void *get_extension(const char *id) {
  return strcmp(id, ESPALIER_SELECTOR) == 0 ? &selector : NULL;
}

const espalier_plugin_descriptor espalier_plugin = {
  .struct_size = sizeof(espalier_plugin_descriptor),
  .abi_major = ESPALIER_ABI_MAJOR,
  .abi_minor = ESPALIER_ABI_MINOR,
  .id = "magnitude",
  .version = "1.0.0",
  .summary = "Magnitude of the weight: |W|",
  .vendor = "Espalier",
  .licence = "Apache-2.0",
  .url = "https://arxiv.org/abs/1506.02626",
  .get_extension = get_extension,
};
