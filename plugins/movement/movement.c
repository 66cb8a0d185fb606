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

#include "declare.h"
#include "gradients.h"
#include "rows.h"

enum { FORM, SCORE_RATE };
enum { HARD, SOFT };

// 1 / (1 + e^-x), of the side where the power cannot overflow.
static double sigmoid(double x) {
  const double power = exp(-fabs(x));
  return x < 0 ? power / (1 + power) : 1 / (1 + power);
}

static int32_t score_row(const struct scoring *scoring, int64_t row, float *scores) {
  const int64_t columns = scoring->matrix->columns;
  const int is_soft = (int)scoring->parameters[FORM] == SOFT;
  const double rate = scoring->parameters[SCORE_RATE];
  for (int64_t j = 0; j < columns; j++) {
    const double movement = 0 - rate * movement_at(scoring->matrix, row * columns + j);  // no -0
    scores[j] = (float)(is_soft ? sigmoid(movement) : movement);
  }
  return ESPALIER_OK;
}

static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                     float *scores, espalier_message *message) {
  const int32_t status = check_movement(matrix, message);
  if (status != ESPALIER_OK) return status;
  const struct scoring scoring = {.host = host, .matrix = matrix, .parameters = parameters};
  return score_rows(&scoring, score_row, scores, message);
}

static const espalier_parameter *const parameter_list[] = {
  [FORM] = CHOICE("form", HARD,
                  "hard: the movement itself, to be ranked; soft: its sigmoid, to be compared with a threshold",
                  "hard", "soft"),
  [SCORE_RATE] = NUMBER(
    "scoreRate", 1, 1e-9, 1e9,
    "Learning rate of the scores, which matters to the soft form alone; 0.01 in the published runs"),
};

SELECTOR_PLUGIN(
  "movement", "Movement: weights that training moves away from zero, -sum of W * gradient (Sanh et al. 2020)",
  "https://arxiv.org/abs/2005.07683",
  .statistics = ESPALIER_STATISTICS_GRADIENTS, .default_group = ESPALIER_GROUP_MATRIX, PARAMETERS(parameter_list),
  .score = score);
