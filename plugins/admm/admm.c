// admm: layer-wise pruning by the alternating direction method of multipliers with a gradual mask (Boza 2024,
// arXiv 2401.02938, algorithm 1).
//
//   ^W = W n, ^G = G / (n n^T) + damping I, rho = 1          n_j = sqrt(G_jj)
//   Z = (^W + U) M    U += ^W - Z    ^W = (^G W0 + rho (Z - U)) (^G + rho I)^-1
//
// In iteration t (from 1) of the first T the mask M is chosen anew from |^W + U|, at the sparsity
// s - s (1 - t / T)^3. At the end W = Z / n, or the exact least squares solution on the mask. Products are in fp32, the
// inverse in double.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "algebra.h"
#include "damped_gram.h"
#include "gram.h"
#include "least_squares.h"
#include "projection.h"
#include "scaled_gram.h"

enum { iterations_index, mask_iterations_index, damping_index, finish_index, finish_damping_index };
enum { finish_none, finish_least_squares };

// What all problems of a call share.
struct input {
  const espalier_host *host;
  const espalier_linear_algebra *algebra;
  int64_t n;
  double *norms;   // [n]
  float *gram;     // [n, n] ^G
  float *inverse;  // [n, n] (^G + I)^-1
};

// One matrix. All float arrays are [rows, n].
struct state {
  int64_t n;
  float *w, *u, *z, *aim, *right;
  uint8_t *kept;
};

// z = w + u: what the mask is chosen from
static int32_t candidate_row(void *context, int64_t row) {
  const struct state *state = context;
  const int64_t at = row * state->n;
  for (int64_t j = at; j < at + state->n; j++) state->z[j] = state->w[j] + state->u[j];
  return ESPALIER_OK;
}

// z = (w + u) M    u += w - z    right = aim + z - u
static int32_t update_row(void *context, int64_t row) {
  const struct state *state = context;
  const int64_t at = row * state->n;
  const uint8_t *restrict kept = state->kept + at;
  const float *restrict w = state->w + at, *restrict aim = state->aim + at;
  float *restrict u = state->u + at, *restrict z = state->z + at, *restrict right = state->right + at;
  for (int64_t j = 0; j < state->n; j++) {
    z[j] = kept[j] ? w[j] + u[j] : 0;
    u[j] += w[j] - z[j];
    right[j] = aim[j] + (z[j] - u[j]);
  }
  return ESPALIER_OK;
}

// The gradual mask of a pattern: the N smallest of every M are candidates, and the smallest share of them go.
static int32_t choose_in_pattern(const espalier_host *host, const espalier_budget *budget, int64_t rows, double share,
                                 struct state *state) {
  const int64_t n = state->n, numel = rows * n;
  int32_t status = projection_mask(host, budget, rows, n, state->z, state->kept);
  if (status != ESPALIER_OK || share >= 1) return status;
  for (int64_t i = 0; i < numel; i++) state->right[i] = state->kept[i] ? INFINITY : state->z[i];
  const espalier_budget part = {.struct_size = sizeof part, .group = ESPALIER_GROUP_MATRIX,
                                .sparsity = share * (double)budget->pattern_prune / (double)budget->pattern_size};
  return projection_mask(host, &part, rows, n, state->right, state->kept);
}

// The mask for the share of the budget that counts in this iteration, 1 at the end.
static int32_t choose(const espalier_host *host, const espalier_budget *budget, int64_t rows, double share,
                      struct state *state) {
  const int32_t status = host->parallel_for(host, rows, candidate_row, state);
  if (status != ESPALIER_OK) return status;
  if (budget->pattern_size > 0) return choose_in_pattern(host, budget, rows, share, state);
  const espalier_budget part = {.struct_size = sizeof part, .group = budget->group,
                                .sparsity = budget->sparsity * share};
  return projection_mask(host, share >= 1 ? budget : &part, rows, state->n, state->z, state->kept);
}

static int32_t iterate(const espalier_problem *problem, const struct input *input, const double *parameters,
                       struct state *state) {
  const espalier_host *host = input->host;
  const int64_t rows = problem->matrix->rows, n = input->n, numel = rows * n;
  const double mask_iterations = parameters[mask_iterations_index];
  for (int64_t i = 0; i < numel; i++) {
    state->w[i] = (float)(problem->matrix->weights[i] * input->norms[i % n]);
    state->u[i] = 0;
  }
  int32_t status = input->algebra->product_f32(host, 0, 0, rows, n, n, 1, state->w, n, input->gram, n, 0, state->aim,
                                               n);
  for (int64_t t = 1; t <= (int64_t)parameters[iterations_index] && status == ESPALIER_OK; t++) {
    if (host->cancelled(host)) return ESPALIER_CANCELLED;
    if ((double)t <= mask_iterations) {
      const double share = (double)t == mask_iterations ? 1 : 1 - pow(1 - (double)t / mask_iterations, 3);
      status = choose(host, problem->budget, rows, share, state);
    }
    if (status == ESPALIER_OK) status = host->parallel_for(host, rows, update_row, state);
    if (status == ESPALIER_OK) {
      status = input->algebra->product_f32(host, 0, 0, rows, n, n, 1, state->right, n, input->inverse, n, 0, state->w,
                                           n);
    }
  }
  // The last Z, with the last W and U.
  if (status == ESPALIER_OK) status = host->parallel_for(host, rows, candidate_row, state);
  for (int64_t i = 0; i < numel && status == ESPALIER_OK; i++) {
    problem->weights[i] = state->kept[i] ? (float)(state->z[i] / input->norms[i % n]) : 0;
  }
  return status;
}

static int32_t solve_matrix(const espalier_problem *problem, const struct input *input, const double *parameters) {
  const int64_t numel = problem->matrix->rows * input->n;
  float *arrays = malloc((size_t)numel * 5 * sizeof *arrays);
  if (arrays == NULL) return ESPALIER_OUT_OF_MEMORY;
  struct state state = {.n = input->n, .w = arrays, .u = arrays + numel, .z = arrays + 2 * numel,
                        .aim = arrays + 3 * numel, .right = arrays + 4 * numel, .kept = problem->kept};
  const int32_t status = iterate(problem, input, parameters, &state);
  free(arrays);
  return status;
}

// The scaled, damped Gram matrix and the inverse of it plus rho, which is 1.
static int32_t prepare(struct input *input, const espalier_matrix *matrix, double damping, espalier_message *message) {
  const int64_t n = input->n;
  double *scaled = malloc((size_t)(n * n) * sizeof *scaled);
  input->norms = malloc((size_t)n * sizeof(double));
  input->gram = malloc((size_t)(2 * n * n) * sizeof(float));
  int32_t status = ESPALIER_OUT_OF_MEMORY;
  if (scaled == NULL || input->norms == NULL || input->gram == NULL) {
    espalier_report(message, status, "no memory for the scaled Gram matrix and its inverse");
  } else {
    input->inverse = input->gram + n * n;
    status = scaled_gram(matrix, 0, input->norms, scaled, message);
  }
  if (status == ESPALIER_OK) {
    double trace = 0, rho = 1;
    for (int64_t i = 0; i < n; i++) trace += scaled[i * (n + 1)];
    for (int64_t i = 0; i < n; i++) scaled[i * (n + 1)] += damping * trace / (double)n;
    for (int64_t i = 0; i < n * n; i++) input->gram[i] = (float)scaled[i];
    status = factor_damped(input->host, input->algebra, matrix->tensor, n, scaled, &rho, message);
  }
  if (status == ESPALIER_OK) {
    status = algebra_report(input->algebra->cholesky_inverse_f64(input->host, n, scaled, n), message);
  }
  for (int64_t i = 0; i < n * n && status == ESPALIER_OK; i++) input->inverse[i] = (float)scaled[i];
  free(scaled);
  return status;
}

// Exact least squares on the masks, for all problems of the call.
static int32_t finish(const espalier_host *host, const espalier_linear_algebra *algebra,
                      const espalier_problem *const *problems, int64_t count, double damping,
                      espalier_message *message) {
  int with_inverse = 0;
  for (int64_t p = 0; p < count; p++) {
    const espalier_matrix *matrix = problems[p]->matrix;
    with_inverse |= damped_gram_wants_inverse(problems[p]->kept, matrix->rows, matrix->columns);
  }
  struct damped_gram gram;
  int32_t status = damped_gram_prepare(host, algebra, problems[0]->matrix, damping, with_inverse, &gram, message);
  for (int64_t p = 0; p < count && status == ESPALIER_OK; p++) {
    const espalier_matrix *matrix = problems[p]->matrix;
    struct least_squares fit = {.host = host, .algebra = algebra, .rows = matrix->rows, .columns = matrix->columns,
                                .a = gram.a, .inverse = gram.inverse, .dense = matrix->weights,
                                .kept = problems[p]->kept, .weights = problems[p]->weights};
    status = least_squares_fit(&fit, message);
  }
  damped_gram_free(&gram);
  return status;
}

static int32_t solve(const espalier_host *host, const espalier_problem *const *problems, int64_t count,
                     const double *parameters, espalier_message *message) {
  const espalier_linear_algebra *algebra = algebra_of(host, message);
  if (algebra == NULL) return ESPALIER_FAILED;
  int32_t status = gram_check(problems[0]->matrix, message);
  for (int64_t p = 0; p < count && status == ESPALIER_OK; p++) {
    status = projection_check(problems[p]->matrix, problems[p]->budget, message);
  }
  if (status != ESPALIER_OK) return status;
  if (parameters[mask_iterations_index] > parameters[iterations_index]) {
    snprintf(message->text, message->capacity,
             "maskIterations is %g, more than the %g iterations, so the sparsity would not be reached; give at most "
             "that",
             parameters[mask_iterations_index], parameters[iterations_index]);
    return ESPALIER_INVALID_ARGUMENT;
  }
  struct input input = {.host = host, .algebra = algebra, .n = problems[0]->matrix->columns};
  status = prepare(&input, problems[0]->matrix, parameters[damping_index], message);
  for (int64_t p = 0; p < count && status == ESPALIER_OK; p++) {
    status = algebra_report(solve_matrix(problems[p], &input, parameters), message);
    host->progress(host, 0.5 * (double)(p + 1) / (double)count, NULL);
  }
  free(input.norms);
  free(input.gram);
  if (status != ESPALIER_OK || (int)parameters[finish_index] == finish_none) return status;
  return finish(host, algebra, problems, count, parameters[finish_damping_index], message);
}

static const espalier_parameter iterations = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_INTEGER,
  .name = "iterations",
  .summary = "Iterations of the splitting",
  .default_value = 20,
  .minimum = 1,
  .maximum = 10000,
};

static const espalier_parameter mask_iterations = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_INTEGER,
  .name = "maskIterations",
  .summary = "Iterations at the start in which the mask grows to the full sparsity; then it stays",
  .default_value = 15,
  .minimum = 1,
  .maximum = 10000,
};

static const espalier_parameter damping = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_NUMBER,
  .name = "damping",
  .summary = "What is added to the diagonal of the scaled Gram matrix, as a fraction of its mean",
  .default_value = 0.1,
  .minimum = 0,
  .maximum = 10,
};

static const char *const finishes[] = {"none", "least-squares"};

static const espalier_parameter finish_choice = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_CHOICE,
  .name = "finish",
  .summary = "Weights at the end: those of the splitting, or the exact least squares solution on the mask",
  .default_value = finish_least_squares,
  .minimum = 0,
  .maximum = finish_least_squares,
  .choice_count = 2,
  .choices = finishes,
};

static const espalier_parameter finish_damping = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_NUMBER,
  .name = "finishDamping",
  .summary = "Damping of the least squares at the end, as a fraction of the mean diagonal of the Gram matrix",
  .default_value = 0.01,
  .minimum = 0,
  .maximum = 10,
};

static const espalier_parameter *const parameter_list[] = {&iterations, &mask_iterations, &damping, &finish_choice,
                                                           &finish_damping};

static const espalier_solver solver = {
  .struct_size = sizeof(espalier_solver),
  .statistics = ESPALIER_STATISTICS_GRAM,
  .default_group = ESPALIER_GROUP_MATRIX,
  .parameter_count = sizeof parameter_list / sizeof parameter_list[0],
  .parameters = parameter_list,
  .solve = solve,
};

static const void *get_extension(const char *id) {
  return strcmp(id, ESPALIER_SOLVER) == 0 ? &solver : NULL;
}

const espalier_plugin_descriptor espalier_plugin = {
  .struct_size = sizeof(espalier_plugin_descriptor),
  .abi_major = ESPALIER_ABI_MAJOR,
  .abi_minor = ESPALIER_ABI_MINOR,
  .id = "admm",
  .version = "1.0.0",
  .summary = "ADMM with a gradual mask: alternating directions on the layer's output error (Boza 2024)",
  .vendor = "Espalier",
  .licence = "Apache-2.0",
  .url = "https://arxiv.org/abs/2401.02938",
  .get_extension = get_extension,
};
