// wanda-plus-plus: Wanda's score plus gradients of the block's output (Yang et al. 2025, Wanda++, arXiv 2503.04992,
// section 4.1, the regional gradient score).
//
//   S_ij = (alpha * G_ij + ||X_j||_2) * |W_ij|      G_ij = sqrt(mean over sequences of g_ij^2), alpha 100
//
// g is the gradient of ||f(X)||_2, the norm of the output of the tensor's transformer block for one sequence: one
// block's backward pass and not the model's. ||X_j||_2 is Wanda's. This is the score alone; the paper's second half,
// the regional optimisation of the kept weights, is a block compensator. In double from ||X_j||_2 on, rounded once.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "espalier_plugin.h"
#include "gradients.h"
#include "moments.h"
#include "rows.h"

struct regional_job {
  const espalier_matrix *matrix;
  const float *norms;  // [columns] ||X_j||_2
  double alpha;
};

static int32_t score_row(const void *context, int64_t row, float *scores) {
  const struct regional_job *job = context;
  const espalier_matrix *matrix = job->matrix;
  const espalier_gradients *gradients = matrix->regional_gradients;
  const double samples = (double)gradients->samples;
  for (int64_t j = 0; j < matrix->columns; j++) {
    const int64_t i = row * matrix->columns + j;
    const double gradient = sqrt((double)gradients->sum_of_squares[i] / samples);
    scores[j] = (float)((job->alpha * gradient + (double)job->norms[j]) * fabs((double)matrix->weights[i]));
  }
  return ESPALIER_OK;
}

// parameters[0] is alpha.
static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                     float *scores, espalier_message *message) {
  int32_t status = check_gradients(matrix, matrix->regional_gradients, "its block's output", message);
  if (status != ESPALIER_OK) return status;
  float *norms = make_norm_powers(matrix, 1, "check the dataset", &status, message);
  if (norms == NULL) return status;
  const struct regional_job job = {.matrix = matrix, .norms = norms, .alpha = parameters[0]};
  status = score_rows(host, matrix, score_row, &job, scores, message);
  free(norms);
  return status;
}

static const espalier_parameter alpha = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_NUMBER,
  .name = "alpha",
  .summary = "Weight of the regional gradients: 100 as published, 0 is Wanda",
  .default_value = 100,
  .minimum = 0,
  .maximum = 1e6,
};

static const espalier_parameter *const parameter_list[] = {&alpha};

static const espalier_selector selector = {
  .struct_size = sizeof(espalier_selector),
  .statistics = ESPALIER_STATISTICS_MOMENTS | ESPALIER_STATISTICS_REGIONAL_GRADIENTS,
  .default_group = ESPALIER_GROUP_ROW,
  .parameter_count = sizeof parameter_list / sizeof parameter_list[0],
  .parameters = parameter_list,
  .score = score,
};

static const void *get_extension(const char *id) {
  return strcmp(id, ESPALIER_SELECTOR) == 0 ? &selector : NULL;
}

const espalier_plugin_descriptor espalier_plugin = {
  .struct_size = sizeof(espalier_plugin_descriptor),
  .abi_major = ESPALIER_ABI_MAJOR,
  .abi_minor = ESPALIER_ABI_MINOR,
  .id = "wanda-plus-plus",
  .version = "1.0.0",
  .summary = "Wanda++: |W| * (alpha * regional gradient + ||X||) (Yang et al. 2025)",
  .vendor = "Espalier",
  .licence = "Apache-2.0",
  .url = "https://arxiv.org/abs/2503.04992",
  .get_extension = get_extension,
};
