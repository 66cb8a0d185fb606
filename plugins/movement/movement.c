// movement: weights that training moves away from zero stay (Sanh, Wolf and Rush 2020, Movement Pruning: Adaptive
// Sparsity by Fine-Tuning, arXiv 2005.07683, section 4 and table 1).
//
//   S_ij = -rate * sum over steps t of W_ij^t * g_ij^t      rate = scoreRate
//   hard   the score is S: the largest S of a matrix are kept
//   soft   the score is sigmoid(S), which the published code compares with a threshold
//
// The sum over steps comes from a training run; for weights that stayed it is W_ij * sum over sequences of g_ij, a
// snapshot of where a step would take them. The paper trains with masked weights and straight-through gradients; here
// the weights are trained as they are. In double, rounded once.

#include <math.h>
#include <string.h>

#include "espalier_plugin.h"
#include "gradients.h"
#include "rows.h"

enum form { FORM_HARD, FORM_SOFT };

struct movement_job {
  const espalier_matrix *matrix;
  enum form form;
  double rate;
};

// 1 / (1 + e^-x), of the side where the power cannot overflow.
static double sigmoid(double x) {
  const double power = exp(-fabs(x));
  return x < 0 ? power / (1 + power) : 1 / (1 + power);
}

static int32_t score_row(const void *context, int64_t row, float *scores) {
  const struct movement_job *job = context;
  const int64_t columns = job->matrix->columns;
  for (int64_t j = 0; j < columns; j++) {
    const double movement = 0 - job->rate * movement_at(job->matrix, row * columns + j);  // no -0
    scores[j] = (float)(job->form == FORM_SOFT ? sigmoid(movement) : movement);
  }
  return ESPALIER_OK;
}

// parameters: form, scoreRate.
static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                     float *scores, espalier_message *message) {
  const int32_t status = check_movement(matrix, message);
  if (status != ESPALIER_OK) return status;
  const struct movement_job job = {.matrix = matrix, .form = (enum form)parameters[0], .rate = parameters[1]};
  return score_rows(host, matrix, score_row, &job, scores, message);
}

static const char *const form_words[] = {"hard", "soft"};

static const espalier_parameter form_choice = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_CHOICE,
  .name = "form",
  .summary = "hard: the movement itself, to be ranked; soft: its sigmoid, to be compared with a threshold",
  .default_value = 0,
  .minimum = 0,
  .maximum = sizeof form_words / sizeof form_words[0] - 1,
  .choice_count = sizeof form_words / sizeof form_words[0],
  .choices = form_words,
};

static const espalier_parameter score_rate = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_NUMBER,
  .name = "scoreRate",
  .summary = "Learning rate of the scores, which matters to the soft form alone; 0.01 in the published runs",
  .default_value = 1,
  .minimum = 1e-9,
  .maximum = 1e9,
};

static const espalier_parameter *const parameter_list[] = {&form_choice, &score_rate};

static const espalier_selector selector = {
  .struct_size = sizeof(espalier_selector),
  .statistics = ESPALIER_STATISTICS_GRADIENTS,
  .default_group = ESPALIER_GROUP_MATRIX,
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
  .id = "movement",
  .version = "1.0.0",
  .summary = "Movement: weights that training moves away from zero, -sum of W * gradient (Sanh et al. 2020)",
  .vendor = "Espalier",
  .licence = "Apache-2.0",
  .url = "https://arxiv.org/abs/2005.07683",
  .get_extension = get_extension,
};
