// snip: connection sensitivity (Lee, Ajanthan and Torr 2019, SNIP, arXiv 1810.02340, section 4.1).
//
//   S_ij = |W_ij * sum over sequences of g_ij|      g = gradient of the sequence's mean cross-entropy
//
// which is the derivative of the loss by a mask c_ij on the weight, at c = 1. The paper divides by the sum of all
// scores, which changes no order, and ranks the whole network together: the default group is global. It prunes before
// training; on a trained model first-order scores alone fall behind plain magnitude (see README.md).
//
// In double, rounded once.

#include <math.h>
#include <string.h>

#include "espalier_plugin.h"
#include "gradients.h"
#include "rows.h"

static int32_t score_row(const void *context, int64_t row, float *scores) {
  const espalier_matrix *matrix = context;
  for (int64_t j = 0; j < matrix->columns; j++) {
    const int64_t i = row * matrix->columns + j;
    scores[j] = (float)fabs((double)matrix->weights[i] * (double)matrix->gradients->sum[i]);
  }
  return ESPALIER_OK;
}

static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                     float *scores, espalier_message *message) {
  (void)parameters;
  const int32_t status = check_gradients(matrix, matrix->gradients, "the model's loss", message);
  return status == ESPALIER_OK ? score_rows(host, matrix, score_row, matrix, scores, message) : status;
}

static const espalier_selector selector = {
  .struct_size = sizeof(espalier_selector),
  .statistics = ESPALIER_STATISTICS_GRADIENTS,
  .default_group = ESPALIER_GROUP_GLOBAL,
  .score = score,
};

static const void *get_extension(const char *id) {
  return strcmp(id, ESPALIER_SELECTOR) == 0 ? &selector : NULL;
}

const espalier_plugin_descriptor espalier_plugin = {
  .struct_size = sizeof(espalier_plugin_descriptor),
  .abi_major = ESPALIER_ABI_MAJOR,
  .abi_minor = ESPALIER_ABI_MINOR,
  .id = "snip",
  .version = "1.0.0",
  .summary = "SNIP: sensitivity of the loss to the connection, |W * gradient| (Lee et al. 2019)",
  .vendor = "Espalier",
  .licence = "Apache-2.0",
  .url = "https://arxiv.org/abs/1810.02340",
  .get_extension = get_extension,
};
