// mama: movement and magnitude analysis (Jiang, Fu and Zhang 2025, MAMA Pruning, arXiv 2505.14052), as a mix of terms.
//
//   S = alpha * N(magnitude) + beta * N(movement) + gamma * N(reward)
//
//   magnitude   |W_ij| * a_j with a calibration dataset, |W_ij| without. Scale norm: a_j = ||X_j||_2, as Wanda's;
//               residual: the norm of what the other inputs do not explain of X_j, 1 / sqrt([(G + d I)^-1]_jj), which is
//               what pruning a weight costs once the others have taken over what they can (Hassibi and Stork 1993,
//               equation 5)
//   movement    away: -sum_t W_ij g_ij, what training moves away from zero gains; sensitivity: |sum_t W_ij g_ij|
//   reward      scores that the client gives under that name; left out if it gives none
//   N           mean: divided by the mean magnitude of the term; rank: the fraction of the term that is smaller; none;
//               each within the row of the weight or within the matrix
//
// The paper names the ingredients but, as far as is public, no formula: this mix is Espalier's. Mode `authors-2024` is
// what the authors published as code: |W|, because that code zeroes the pruned weights before it sums what it is to
// move, so that nothing moves (README.md). It says so with the diagnostic equalsMagnitude.
//
// A term is rounded to fp32 once, the magnitude as in wanda.c; N and the mix are in double, rounded once. So alpha = 1
// as the only weight, with N = none, is the score of wanda or magnitude bit for bit.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "damped_gram.h"
#include "espalier_plugin.h"
#include "gradients.h"
#include "moments.h"
#include "rows.h"
#include "sorting.h"

// Parameters, and the choices of those that are choices.
enum { MAGNITUDE_WEIGHT, MOVEMENT_WEIGHT, REWARD_WEIGHT, MOVEMENT, NORMALISATION, SCOPE, MODE, SCALE, DAMPING };
enum { AWAY, SENSITIVITY };
enum { MEAN, RANK, NONE };
enum { ROW, MATRIX };
enum { FULL, AUTHORS_2024 };
enum { NORM, RESIDUAL };

// ---------------------------------------------------------------------------------------------------------------------
// Terms

struct term {
  // Writes values[0 ..< columns]: the term of one row.
  void (*fill)(const struct term *term, const espalier_matrix *matrix, int64_t row, float *values);
  double weight;
  const float *norms;   // magnitude: [columns] ||X_j||_2, or NULL
  const float *reward;  // reward: [rows, columns]
  // Scope `matrix`: what N needs of the whole term.
  double mean;          // mean magnitude
  float *sorted;        // [rows * columns] ascending
};

static void fill_magnitude(const struct term *term, const espalier_matrix *matrix, int64_t row, float *values) {
  const float *weights = matrix->weights + row * matrix->columns;
  for (int64_t j = 0; j < matrix->columns; j++) {
    values[j] = term->norms == NULL ? fabsf(weights[j]) : fabsf(weights[j]) * term->norms[j];
  }
}

static void fill_away(const struct term *term, const espalier_matrix *matrix, int64_t row, float *values) {
  (void)term;
  for (int64_t j = 0; j < matrix->columns; j++) values[j] = (float)(0 - movement_at(matrix, row * matrix->columns + j));
}

static void fill_sensitivity(const struct term *term, const espalier_matrix *matrix, int64_t row, float *values) {
  (void)term;
  for (int64_t j = 0; j < matrix->columns; j++) values[j] = (float)fabs(movement_at(matrix, row * matrix->columns + j));
}

static void fill_reward(const struct term *term, const espalier_matrix *matrix, int64_t row, float *values) {
  memcpy(values, term->reward + row * matrix->columns, (size_t)matrix->columns * sizeof *values);
}

// ---------------------------------------------------------------------------------------------------------------------
// The mix

#define MOST_TERMS 3

struct mix {
  const espalier_host *host;
  const espalier_matrix *matrix;
  struct term terms[MOST_TERMS];
  int term_count;
  int normalisation;
  int scope;
};

static double mean_magnitude(const float *values, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum += fabs((double)values[i]);
  return sum / (double)count;
}

// room->sums += weight * N(room->values), values that are finite.
static int32_t add_term(const struct mix *mix, const struct term *term, const struct sorting_room *room) {
  const int64_t columns = mix->matrix->columns;
  if (mix->normalisation == RANK) {
    const float *sorted = term->sorted;
    int64_t count = mix->matrix->rows * columns;
    if (mix->scope == ROW) {
      memcpy(room->sorted, room->values, (size_t)columns * sizeof *room->values);
      const int32_t status = sort_ascending(mix->host, room->sorted, columns, room->keys, room->others);
      if (status != ESPALIER_OK) return status;
      sorted = room->sorted;
      count = columns;
    }
    for (int64_t j = 0; j < columns; j++) {
      room->sums[j] += term->weight * ((double)count_smaller(sorted, count, room->values[j]) / (double)count);
    }
    return ESPALIER_OK;
  }
  double divisor = 1;
  if (mix->normalisation == MEAN) divisor = mix->scope == ROW ? mean_magnitude(room->values, columns) : term->mean;
  if (divisor == 0) divisor = 1;  // all of the term is 0, and stays so
  for (int64_t j = 0; j < columns; j++) room->sums[j] += term->weight * ((double)room->values[j] / divisor);
  return ESPALIER_OK;
}

static int32_t score_row(const void *context, int64_t row, float *scores) {
  const struct mix *mix = context;
  const int64_t columns = mix->matrix->columns;
  const struct sorting_room room = make_sorting_room(columns);
  if (room.sums == NULL) return ESPALIER_OUT_OF_MEMORY;
  int32_t status = ESPALIER_OK;
  int64_t bad = columns;
  for (int t = 0; t < mix->term_count && status == ESPALIER_OK && bad == columns; t++) {
    mix->terms[t].fill(&mix->terms[t], mix->matrix, row, room.values);
    bad = find_not_finite(room.values, columns);
    if (bad == columns) status = add_term(mix, &mix->terms[t], &room);
  }
  if (bad < columns) {
    status = give_up_row(scores, columns, bad, room.values[bad]);
  } else {
    for (int64_t j = 0; j < columns; j++) scores[j] = (float)room.sums[j];
  }
  free(room.sums);
  return status;
}

// ---------------------------------------------------------------------------------------------------------------------
// Scope `matrix`: the whole term before any of its scores

struct term_loop {
  const struct term *term;
  const espalier_matrix *matrix;
};

static int32_t fill_row_of_term(const void *context, int64_t row, float *values) {
  const struct term_loop *loop = context;
  loop->term->fill(loop->term, loop->matrix, row, values);
  return ESPALIER_OK;
}

// Sets term->mean, or term->sorted, which the caller frees. `values` is room for the whole term.
static int32_t survey_term(const struct mix *mix, struct term *term, float *values, espalier_message *message) {
  const espalier_matrix *matrix = mix->matrix;
  const int64_t count = matrix->rows * matrix->columns;
  const struct term_loop loop = {.term = term, .matrix = matrix};
  int32_t status = score_rows(mix->host, matrix, fill_row_of_term, &loop, values, message);
  if (status != ESPALIER_OK) return status;
  if (mix->normalisation == MEAN) {
    double sum = 0;
    for (int64_t row = 0; row < matrix->rows; row++) {
      if (mix->host->cancelled(mix->host)) return ESPALIER_CANCELLED;
      sum += mean_magnitude(values + row * matrix->columns, matrix->columns);
    }
    term->mean = sum / (double)matrix->rows;
    return ESPALIER_OK;
  }
  term->sorted = calloc((size_t)count, sizeof *term->sorted);
  uint32_t *keys = calloc((size_t)count, sizeof *keys);
  uint32_t *others = calloc((size_t)count, sizeof *others);
  if (term->sorted == NULL || keys == NULL || others == NULL) {
    status = espalier_report(message, ESPALIER_OUT_OF_MEMORY,
                             "no memory to rank within the matrix; take the scope 'row', or normalisation 'mean'");
  } else {
    memcpy(term->sorted, values, (size_t)count * sizeof *values);
    status = sort_ascending(mix->host, term->sorted, count, keys, others);
  }
  free(others);
  free(keys);
  return status;
}

// `scores` serves as room for each term, before the scores are written to it.
static int32_t survey_terms(struct mix *mix, float *scores, espalier_message *message) {
  if (mix->scope == ROW || mix->normalisation == NONE) return ESPALIER_OK;
  for (int t = 0; t < mix->term_count; t++) {
    const int32_t status = survey_term(mix, &mix->terms[t], scores, message);
    if (status != ESPALIER_OK) return status;
  }
  return ESPALIER_OK;
}

// ---------------------------------------------------------------------------------------------------------------------
// The calls

// Fails with ESPALIER_INVALID_ARGUMENT if a reward is not finite.
static int32_t check_reward(const espalier_host *host, const espalier_matrix *matrix, const float *reward,
                            espalier_message *message) {
  for (int64_t row = 0; row < matrix->rows; row++) {
    if (host->cancelled(host)) return ESPALIER_CANCELLED;
    const float *rewards = reward + row * matrix->columns;
    const int64_t j = find_not_finite(rewards, matrix->columns);
    if (j == matrix->columns) continue;
    snprintf(message->text, message->capacity,
             "the reward of the weight in row %lld, column %lld of %s is %g; give finite scores under that name",
             (long long)row, (long long)j, matrix->tensor, (double)rewards[j]);
    return ESPALIER_INVALID_ARGUMENT;
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
  if (status == ESPALIER_OK) status = score_rows(host, matrix, score_row, &mix, scores, message);
  for (int t = 0; t < mix.term_count; t++) free(mix.terms[t].sorted);
  return status;
}

// 1 / sqrt([(G + d I)^-1]_jj) for every input, to be freed by the caller; NULL if `*status` says why.
static float *make_residual_norms(const espalier_host *host, const espalier_matrix *matrix, double damping,
                                  int32_t *status, espalier_message *message) {
  const espalier_linear_algebra *algebra = algebra_of(host, message);
  struct damped_gram gram = {0};
  float *norms = NULL;
  *status = algebra == NULL ? ESPALIER_FAILED : gram_check(matrix, message);
  if (*status == ESPALIER_OK) *status = damped_gram_prepare(host, algebra, matrix, damping, 1, &gram, message);
  if (*status == ESPALIER_OK) {
    norms = malloc((size_t)matrix->columns * sizeof *norms);
    if (norms == NULL) *status = espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for a norm per input");
  }
  for (int64_t j = 0; norms != NULL && j < matrix->columns; j++) {
    norms[j] = (float)(1 / sqrt(gram.inverse[j * matrix->columns + j]));
  }
  damped_gram_free(&gram);
  return norms;
}

static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                     float *scores, espalier_message *message) {
  if ((int)parameters[MODE] == AUTHORS_2024) {
    const struct term magnitude = {.fill = fill_magnitude};
    const struct term_loop loop = {.term = &magnitude, .matrix = matrix};
    host->diagnose(host, ESPALIER_LOG_WARNING, "equalsMagnitude", matrix->tensor,
                   "mode authors-2024 is magnitude pruning: the published code sets the pruned weights to 0 before it "
                   "sums what it is to move, so nothing moves; other parameters were not used");
    return score_rows(host, matrix, fill_row_of_term, &loop, scores, message);
  }
  if (parameters[MAGNITUDE_WEIGHT] == 0 || matrix->moments == NULL) {
    return score_mix(host, matrix, parameters, NULL, scores, message);
  }
  int32_t status;
  float *norms = (int)parameters[SCALE] == RESIDUAL
                   ? make_residual_norms(host, matrix, parameters[DAMPING], &status, message)
                   : make_norm_powers(matrix, 1, "check the dataset", &status, message);
  if (norms == NULL) return status;
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

// ---------------------------------------------------------------------------------------------------------------------
// Description

static const espalier_parameter magnitude_weight = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_NUMBER,
  .name = "magnitudeWeight",
  .summary = "alpha, weight of the magnitude: |W| * ||X||, or |W| without a dataset",
  .default_value = 1,
  .minimum = 0,
  .maximum = 1e6,
};

static const espalier_parameter movement_weight = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_NUMBER,
  .name = "movementWeight",
  .summary = "beta, weight of the movement; needs gradients unless it is 0",
  .default_value = 0,
  .minimum = 0,
  .maximum = 1e6,
};

static const espalier_parameter reward_weight = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_NUMBER,
  .name = "rewardWeight",
  .summary = "gamma, weight of the reward; counts only if scores are given under that name",
  .default_value = 1,
  .minimum = 0,
  .maximum = 1e6,
};

static const char *const movement_words[] = {"away", "sensitivity"};

static const espalier_parameter movement_choice = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_CHOICE,
  .name = "movement",
  .summary = "away: -sum of W * gradient; sensitivity: its magnitude, as in a Taylor expansion",
  .default_value = 0,
  .minimum = 0,
  .maximum = sizeof movement_words / sizeof movement_words[0] - 1,
  .choice_count = sizeof movement_words / sizeof movement_words[0],
  .choices = movement_words,
};

static const char *const normalisation_words[] = {"mean", "rank", "none"};

static const espalier_parameter normalisation_choice = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_CHOICE,
  .name = "normalisation",
  .summary = "What makes terms comparable: division by their mean magnitude, ranks, or nothing",
  .default_value = 0,
  .minimum = 0,
  .maximum = sizeof normalisation_words / sizeof normalisation_words[0] - 1,
  .choice_count = sizeof normalisation_words / sizeof normalisation_words[0],
  .choices = normalisation_words,
};

static const char *const scope_words[] = {"row", "matrix"};

static const espalier_parameter scope_choice = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_CHOICE,
  .name = "scope",
  .summary = "Within what the normalisation looks for means and ranks",
  .default_value = 0,
  .minimum = 0,
  .maximum = sizeof scope_words / sizeof scope_words[0] - 1,
  .choice_count = sizeof scope_words / sizeof scope_words[0],
  .choices = scope_words,
};

static const char *const mode_words[] = {"full", "authors-2024"};

static const espalier_parameter mode_choice = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_CHOICE,
  .name = "mode",
  .summary = "full: the mix; authors-2024: the published code, which is magnitude alone",
  .default_value = 0,
  .minimum = 0,
  .maximum = sizeof mode_words / sizeof mode_words[0] - 1,
  .choice_count = sizeof mode_words / sizeof mode_words[0],
  .choices = mode_words,
};

static const char *const scale_words[] = {"norm", "residual"};

static const espalier_parameter scale_choice = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_CHOICE,
  .name = "scale",
  .summary = "How a dataset scales the magnitude: by the norm of the input, or of what other inputs do not explain of it",
  .default_value = RESIDUAL,
  .minimum = 0,
  .maximum = sizeof scale_words / sizeof scale_words[0] - 1,
  .choice_count = sizeof scale_words / sizeof scale_words[0],
  .choices = scale_words,
};

static const espalier_parameter damping = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_NUMBER,
  .name = "damping",
  .summary = "Of the scale residual: what is added to the Gram matrix's diagonal, as a fraction of its mean",
  .default_value = 0.01,
  .minimum = 0,
  .maximum = 10,
};

static const espalier_parameter *const parameter_list[] = {
  [MAGNITUDE_WEIGHT] = &magnitude_weight,
  [MOVEMENT_WEIGHT] = &movement_weight,
  [REWARD_WEIGHT] = &reward_weight,
  [MOVEMENT] = &movement_choice,
  [NORMALISATION] = &normalisation_choice,
  [SCOPE] = &scope_choice,
  [MODE] = &mode_choice,
  [SCALE] = &scale_choice,
  [DAMPING] = &damping,
};

static const char *const term_names[] = {"reward"};

static const espalier_selector selector = {
  .struct_size = sizeof(espalier_selector),
  .statistics = ESPALIER_STATISTICS_MOMENTS | ESPALIER_STATISTICS_GRAM | ESPALIER_STATISTICS_GRADIENTS,
  .default_group = ESPALIER_GROUP_ROW,
  .parameter_count = sizeof parameter_list / sizeof parameter_list[0],
  .parameters = parameter_list,
  .score = score,
  .statistics_for = statistics_for,
  .term_count = sizeof term_names / sizeof term_names[0],
  .terms = term_names,
  .compensator = "least-squares",
  .rounds = 8,
};

static const void *get_extension(const char *id) {
  return strcmp(id, ESPALIER_SELECTOR) == 0 ? &selector : NULL;
}

const espalier_plugin_descriptor espalier_plugin = {
  .struct_size = sizeof(espalier_plugin_descriptor),
  .abi_major = ESPALIER_ABI_MAJOR,
  .abi_minor = ESPALIER_ABI_MINOR,
  .id = "mama",
  .version = "1.0.0",
  .summary = "MAMA: magnitude, movement and reward, mixed (Jiang, Fu and Zhang 2025)",
  .vendor = "Espalier",
  .licence = "Apache-2.0",
  .url = "https://arxiv.org/abs/2505.14052",
  .get_extension = get_extension,
};
