// mama: movement and magnitude analysis (Jiang, Fu and Zhang 2025, MAMA Pruning, arXiv 2505.14052), as a mix of terms.
//
//   S = alpha * N(magnitude) + beta * N(movement) + gamma * N(reward)
//
//   magnitude   |W_ij| * a_j with a calibration dataset, |W_ij| without. Scale norm: a_j = ||X_j||_2, as Wanda's;
//               residual: the norm of what the other inputs do not explain of X_j, 1 / sqrt([(G + d I)^-1]_jj), which
//               is what pruning a weight costs once the others have taken over what they can (Hassibi and Stork 1993,
//               equation 5)
//   movement    away: -sum_t W_ij g_ij, what training moves away from zero gains; sensitivity: |sum_t W_ij g_ij|
//   reward      scores that the client gives under that name; left out if it gives none
//   N           mean, rank or none, within the row of the weight or within the matrix: see normalise.h
//
// The paper names the ingredients but, as far as is public, no formula: this mix is Espalier's. Mode `authors-2024` is
// what the authors published as code: |W|, because that code zeroes the pruned weights before it sums what it is to
// move, so that nothing moves (README.md). It says so with the diagnostic equalsMagnitude.
//
// A term is rounded to fp32 once, the magnitude as in wanda.c; N and the mix are in double, rounded once. So alpha = 1
// as the only weight, with N = none, is the score of wanda or magnitude bit for bit.

#include <stdlib.h>
#include <string.h>

#include "damped_gram.h"
#include "declare.h"
#include "normalise.h"

// Parameters, and the choices of those that are choices and not of normalise.h.
enum { MAGNITUDE_WEIGHT, MOVEMENT_WEIGHT, REWARD_WEIGHT, MOVEMENT, NORMALISATION, SCOPE, MODE, SCALE, DAMPING };
enum { AWAY, SENSITIVITY };
enum { FULL, AUTHORS_2024 };
enum { NORM, RESIDUAL };

// Fails with ESPALIER_INVALID_ARGUMENT if a reward is not finite.
static int32_t check_reward(const espalier_host *host, const espalier_matrix *matrix, const float *reward,
                            espalier_message *message) {
  for (int64_t row = 0; row < matrix->rows; row++) {
    if (host->cancelled(host)) return ESPALIER_CANCELLED;
    const float *rewards = reward + row * matrix->columns;
    const int64_t j = find_not_finite(rewards, matrix->columns);
    if (j == matrix->columns) continue;
    return refuse(message,
                  "the reward of the weight in row %lld, column %lld of %s is %g; give finite scores under that name",
                  (long long)row, (long long)j, matrix->tensor, (double)rewards[j]);
  }
  return ESPALIER_OK;
}

static const float *find_reward(const espalier_matrix *matrix) {
  for (int64_t t = 0; t < matrix->term_count; t++) {
    if (strcmp(matrix->terms[t]->name, "reward") == 0) return matrix->terms[t]->scores;
  }
  return NULL;
}

static int32_t score_mix(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                         const float *norms, float *scores, espalier_message *message) {
  struct mix mix = {
    .host = host,
    .matrix = matrix,
    .normalisation = (int)parameters[NORMALISATION],
    .scope = (int)parameters[SCOPE],
  };
  const float *reward = find_reward(matrix);
  if (parameters[MAGNITUDE_WEIGHT] != 0) {
    mix.terms[mix.term_count++] =
      (struct term){.fill = fill_magnitude, .weight = parameters[MAGNITUDE_WEIGHT], .norms = norms};
  }
  if (parameters[MOVEMENT_WEIGHT] != 0) {
    const int32_t status = check_movement(matrix, message);
    if (status != ESPALIER_OK) return status;
    mix.terms[mix.term_count++] = (struct term){
      .fill = (int)parameters[MOVEMENT] == AWAY ? fill_away : fill_sensitivity,
      .weight = parameters[MOVEMENT_WEIGHT],
    };
  }
  if (parameters[REWARD_WEIGHT] != 0 && reward != NULL) {
    const int32_t status = check_reward(host, matrix, reward, message);
    if (status != ESPALIER_OK) return status;
    mix.terms[mix.term_count++] =
      (struct term){.fill = fill_reward, .weight = parameters[REWARD_WEIGHT], .reward = reward};
  }
  if (mix.term_count == 0) {
    return espalier_report(message, ESPALIER_INVALID_ARGUMENT,
                           "no term is left to score by: magnitudeWeight and movementWeight are 0, and the reward has "
                           "weight 0 or was not given; raise a weight, or give scores under the name reward");
  }
  int32_t status = survey_terms(&mix, scores, message);
  if (status == ESPALIER_OK) {
    const struct scoring scoring = {.host = host, .matrix = matrix, .more = &mix};
    status = score_rows(&scoring, score_mixed_row, scores, message);
  }
  for (int t = 0; t < mix.term_count; t++) free(mix.terms[t].sorted);
  return status;
}

// norms[j] = 1 / sqrt([(G + d I)^-1]_jj), [columns], to be freed by the caller; NULL unless the status is ESPALIER_OK.
static int32_t make_residual_norms(const espalier_host *host, const espalier_matrix *matrix, double damping,
                                   float **norms, espalier_message *message) {
  const espalier_linear_algebra *algebra;
  struct damped_gram gram = {0};
  *norms = NULL;
  int32_t status = begin_with_gram(host, matrix, &algebra, message);
  if (status == ESPALIER_OK) status = damped_gram_prepare(host, algebra, matrix, damping, 1, &gram, message);
  if (status == ESPALIER_OK) {
    *norms = malloc((size_t)matrix->columns * sizeof **norms);
    if (*norms == NULL) status = espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for a norm per input");
  }
  for (int64_t j = 0; *norms != NULL && j < matrix->columns; j++) {
    (*norms)[j] = (float)(1 / sqrt(gram.inverse[j * matrix->columns + j]));
  }
  damped_gram_free(&gram);
  return status;
}

static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                     float *scores, espalier_message *message) {
  if ((int)parameters[MODE] == AUTHORS_2024) {
    const struct term magnitude = {.fill = fill_magnitude};
    const struct scoring scoring = {.host = host, .matrix = matrix, .more = &magnitude};
    host->diagnose(host, ESPALIER_LOG_WARNING, "equalsMagnitude", matrix->tensor,
                   "mode authors-2024 is magnitude pruning: the published code sets the pruned weights to 0 before it "
                   "sums what it is to move, so nothing moves; other parameters were not used");
    return score_rows(&scoring, fill_row, scores, message);
  }
  if (parameters[MAGNITUDE_WEIGHT] == 0 || matrix->moments == NULL) {
    return score_mix(host, matrix, parameters, NULL, scores, message);
  }
  float *norms;
  int32_t status = (int)parameters[SCALE] == RESIDUAL
                     ? make_residual_norms(host, matrix, parameters[DAMPING], &norms, message)
                     : make_norms(matrix, &norms, message);
  if (status != ESPALIER_OK) return status;
  status = score_mix(host, matrix, parameters, norms, scores, message);
  free(norms);
  return status;
}

static uint32_t statistics_for(const double *parameters, int32_t has_dataset) {
  if ((int)parameters[MODE] == AUTHORS_2024) return ESPALIER_STATISTICS_NONE;
  uint32_t statistics = ESPALIER_STATISTICS_NONE;
  if (has_dataset && parameters[MAGNITUDE_WEIGHT] != 0) {
    statistics |= ESPALIER_STATISTICS_MOMENTS;
    if ((int)parameters[SCALE] == RESIDUAL) statistics |= ESPALIER_STATISTICS_GRAM;
  }
  if (parameters[MOVEMENT_WEIGHT] != 0) statistics |= ESPALIER_STATISTICS_GRADIENTS;
  return statistics;
}

static const espalier_parameter *const parameter_list[] = {
  [MAGNITUDE_WEIGHT] = NUMBER("magnitudeWeight", 1, 0, 1e6,
                              "alpha, weight of the magnitude: |W| scaled by the inputs, or |W| without a dataset"),
  [MOVEMENT_WEIGHT] = NUMBER("movementWeight", 0, 0, 1e6,
                             "beta, weight of the movement; needs gradients unless it is 0"),
  [REWARD_WEIGHT] = NUMBER("rewardWeight", 1, 0, 1e6,
                           "gamma, weight of the reward; counts only if scores are given under that name"),
  [MOVEMENT] = CHOICE("movement", AWAY,
                      "away: -sum of W * gradient; sensitivity: its magnitude, as in a Taylor expansion",
                      "away", "sensitivity"),
  [NORMALISATION] = CHOICE("normalisation", MEAN,
                           "What makes terms comparable: division by their mean magnitude, ranks, or nothing",
                           "mean", "rank", "none"),
  [SCOPE] = CHOICE("scope", ROW, "Within what the normalisation looks for means and ranks", "row", "matrix"),
  [MODE] = CHOICE("mode", FULL,
                  "full: the mix; authors-2024: the published code, which is magnitude alone",
                  "full", "authors-2024"),
  [SCALE] = CHOICE(
    "scale", RESIDUAL,
    "How a dataset scales the magnitude: by the norm of the input, or of what other inputs do not explain of it",
    "norm", "residual"),
  [DAMPING] = NUMBER("damping", 0.01, 0, 10,
                     "Of the scale residual: what is added to the Gram matrix's diagonal, as a fraction of its mean"),
};

static const char *const term_names[] = {"reward"};

SELECTOR_PLUGIN(
  "mama", "MAMA: magnitude, movement and reward, mixed (Jiang, Fu and Zhang 2025)", "https://arxiv.org/abs/2505.14052",
  .statistics = ESPALIER_STATISTICS_MOMENTS | ESPALIER_STATISTICS_GRAM | ESPALIER_STATISTICS_GRADIENTS,
  .default_group = ESPALIER_GROUP_ROW, PARAMETERS(parameter_list), .score = score, .statistics_for = statistics_for,
  .term_count = COUNT_OF(term_names), .terms = term_names, .compensator = "least-squares", .rounds = 16);
