// gblm: Wanda's score plus gradients of the whole model (Das, Ma and Shen 2023, Beyond Size: How Gradients Shape
// Pruning Decisions in Large Language Models, arXiv 2311.04902).
//
//   S_ij = |W_ij| * ||X_j||_2 + |W_ij| * G_ij      G_ij = sqrt(sum over sequences of (scale * g_ij)^2), scale 100
//
// ||X_j||_2 is Wanda's (a mean over sequences), G a sum over sequences, as in the published code: more sequences give
// gradients more say, and 128 is what it was tuned with. The paper's other norm, the sum of |g|, needs statistics that
// the plugin ABI does not have, so there is no choice of norm. In double from ||X_j||_2 on, rounded once; the published
// code stores G in fp16, where values beyond 65504 overflow and small ones lose bits.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "espalier_plugin.h"
#include "gradients.h"
#include "moments.h"
#include "rows.h"

struct gblm_job {
  const espalier_matrix *matrix;
  const float *norms;  // [columns] ||X_j||_2
  double scale;
};

static int32_t score_row(const void *context, int64_t row, float *scores) {
  const struct gblm_job *job = context;
  const espalier_matrix *matrix = job->matrix;
  for (int64_t j = 0; j < matrix->columns; j++) {
    const int64_t i = row * matrix->columns + j;
    const double gradient = job->scale * sqrt((double)matrix->gradients->sum_of_squares[i]);
    scores[j] = (float)(fabs((double)matrix->weights[i]) * ((double)job->norms[j] + gradient));
  }
  return ESPALIER_OK;
}

// parameters[0] is the scale.
static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                     float *scores, espalier_message *message) {
  int32_t status = check_gradients(matrix, matrix->gradients, "the model's loss", message);
  if (status != ESPALIER_OK) return status;
  float *norms = make_norm_powers(matrix, 1, "check the dataset", &status, message);
  if (norms == NULL) return status;
  const struct gblm_job job = {.matrix = matrix, .norms = norms, .scale = parameters[0]};
  status = score_rows(host, matrix, score_row, &job, scores, message);
  free(norms);
  return status;
}

static const espalier_parameter scale = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_NUMBER,
  .name = "scale",
  .summary = "What gradients are multiplied by: 100 as published, 0 is Wanda",
  .default_value = 100,
  .minimum = 0,
  .maximum = 1e6,
};

static const espalier_parameter *const parameter_list[] = {&scale};

static const espalier_selector selector = {
  .struct_size = sizeof(espalier_selector),
  .statistics = ESPALIER_STATISTICS_MOMENTS | ESPALIER_STATISTICS_GRADIENTS,
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
  .id = "gblm",
  .version = "1.0.0",
  .summary = "GBLM: |W| * (||X|| + norm of the gradients of the model's loss) (Das et al. 2023)",
  .vendor = "Espalier",
  .licence = "Apache-2.0",
  .url = "https://arxiv.org/abs/2311.04902",
  .get_extension = get_extension,
};
