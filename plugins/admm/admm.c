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
#include <stdlib.h>
#include <string.h>

#include "declare.h"
#include "least_squares.h"
#include "projection.h"
#include "scaled_gram.h"
#include "solving.h"

enum { ITERATIONS, MASK_ITERATIONS, DAMPING, FINISH, FINISH_DAMPING };
enum { NONE, LEAST_SQUARES };

// What all problems of a call share.
struct input {
  const espalier_host *host;
  const espalier_linear_algebra *algebra;
  const double *parameters;
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

// right = z of the candidates, infinite elsewhere
static int32_t candidates_only_row(void *context, int64_t row) {
  const struct state *state = context;
  const int64_t at = row * state->n;
  for (int64_t j = at; j < at + state->n; j++) state->right[j] = state->kept[j] ? INFINITY : state->z[j];
  return ESPALIER_OK;
}

// The gradual mask of a pattern: the N smallest of every M are candidates, and the smallest share of them go.
static int32_t choose_in_pattern(const espalier_host *host, const espalier_budget *budget, int64_t rows, double share,
                                 struct state *state) {
  int32_t status = projection_mask(host, budget, rows, state->n, state->z, state->kept);
  if (status != ESPALIER_OK || share >= 1) return status;
  status = host->parallel_for(host, rows, candidates_only_row, state);
  if (status != ESPALIER_OK) return status;
  const espalier_budget part = {.struct_size = sizeof part, .group = ESPALIER_GROUP_MATRIX,
                                .sparsity = share * (double)budget->pattern_prune / (double)budget->pattern_size};
  return projection_mask(host, &part, rows, state->n, state->right, state->kept);
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

static int32_t iterate(const espalier_problem *problem, const struct input *input, struct state *state) {
  const espalier_host *host = input->host;
  const espalier_linear_algebra *algebra = input->algebra;
  const int64_t rows = problem->matrix->rows, n = input->n;
  const int64_t iterations = (int64_t)input->parameters[ITERATIONS];
  const double mask_iterations = input->parameters[MASK_ITERATIONS];
  memset(state->u, 0, (size_t)(rows * n) * sizeof *state->u);
  int32_t status = scale_weights(host, problem->matrix, input->norms, state->w);
  if (status == ESPALIER_OK) {
    status = algebra->product_f32(host, 0, 0, rows, n, n, 1, state->w, n, input->gram, n, 0, state->aim, n);
  }
  for (int64_t t = 1; t <= iterations && status == ESPALIER_OK; t++) {
    if (host->cancelled(host)) return ESPALIER_CANCELLED;
    if ((double)t <= mask_iterations) {
      const double share = (double)t == mask_iterations ? 1 : 1 - pow(1 - (double)t / mask_iterations, 3);
      status = choose(host, problem->budget, rows, share, state);
    }
    if (status == ESPALIER_OK) status = host->parallel_for(host, rows, update_row, state);
    if (status == ESPALIER_OK) {
      status = algebra->product_f32(host, 0, 0, rows, n, n, 1, state->right, n, input->inverse, n, 0, state->w, n);
    }
  }
  // The last Z, with the last W and U.
  if (status == ESPALIER_OK) status = host->parallel_for(host, rows, candidate_row, state);
  return status == ESPALIER_OK ? unscale_weights(host, problem, input->norms, state->z) : status;
}

static int32_t solve_matrix(void *context, const espalier_problem *problem) {
  const struct input *input = context;
  const int64_t numel = problem->matrix->rows * input->n;
  float *arrays = malloc((size_t)numel * 5 * sizeof *arrays);
  if (arrays == NULL) return ESPALIER_OUT_OF_MEMORY;
  struct state state = {.n = input->n, .w = arrays, .u = arrays + numel, .z = arrays + 2 * numel,
                        .aim = arrays + 3 * numel, .right = arrays + 4 * numel, .kept = problem->kept};
  const int32_t status = iterate(problem, input, &state);
  free(arrays);
  return status;
}

// inverse = (l l^T)^-1 in fp32; l is scratch afterwards.
static int32_t invert(const struct input *input, double *l) {
  const int64_t n = input->n;
  const int32_t status = input->algebra->cholesky_inverse_f64(input->host, n, l, n);
  return status == ESPALIER_OK ? narrow(input->host, l, n, n, input->inverse) : status;
}

// The scaled, damped Gram matrix and the inverse of it plus rho, which is 1.
static int32_t prepare(struct input *input, const espalier_matrix *matrix, espalier_message *message) {
  const int64_t n = input->n;
  const double damping = input->parameters[DAMPING];
  double *scaled = malloc((size_t)(n * n) * sizeof *scaled);
  input->norms = malloc((size_t)n * sizeof(double));
  input->gram = malloc((size_t)(2 * n * n) * sizeof(float));
  int32_t status = ESPALIER_OUT_OF_MEMORY;
  if (scaled == NULL || input->norms == NULL || input->gram == NULL) {
    espalier_report(message, status, "no memory for the scaled Gram matrix and its inverse");
  } else {
    input->inverse = input->gram + n * n;
    status = scale_gram(input->host, matrix, 0, input->norms, scaled, message);
  }
  if (status == ESPALIER_OK) {
    double trace = 0, rho = 1;
    for (int64_t i = 0; i < n; i++) trace += scaled[i * (n + 1)];
    for (int64_t i = 0; i < n; i++) scaled[i * (n + 1)] += damping * trace / (double)n;
    status = algebra_report(narrow(input->host, scaled, n, n, input->gram), message);
    if (status == ESPALIER_OK) {
      status = factor_damped(input->host, input->algebra, matrix->tensor, n, scaled, &rho, message);
    }
    if (status == ESPALIER_OK) status = algebra_report(invert(input, scaled), message);
  }
  free(scaled);
  return status;
}

// Exact least squares on the masks, for all problems of the call.
static int32_t finish(const struct input *input, const espalier_problem *const *problems, int64_t count,
                      espalier_message *message) {
  int with_inverse = 0;
  for (int64_t p = 0; p < count; p++) {
    const espalier_matrix *matrix = problems[p]->matrix;
    with_inverse |= least_squares_wants_inverse(problems[p]->kept, matrix->rows, matrix->columns);
  }
  struct damped_gram gram;
  int32_t status = damped_gram_prepare(input->host, input->algebra, problems[0]->matrix,
                                       input->parameters[FINISH_DAMPING], with_inverse, &gram, message);
  for (int64_t p = 0; p < count && status == ESPALIER_OK; p++) {
    struct least_squares fit = {.host = input->host, .algebra = input->algebra, .matrix = problems[p]->matrix,
                                .gram = &gram, .kept = problems[p]->kept, .weights = problems[p]->weights};
    status = least_squares_fit(&fit, message);
  }
  damped_gram_free(&gram);
  return status;
}

static int32_t solve(const espalier_host *host, const espalier_problem *const *problems, int64_t count,
                     const double *parameters, espalier_message *message) {
  struct input input = {.host = host, .parameters = parameters, .n = problems[0]->matrix->columns};
  int32_t status = begin_solving(host, problems, count, &input.algebra, message);
  if (status != ESPALIER_OK) return status;
  if (parameters[MASK_ITERATIONS] > parameters[ITERATIONS]) {
    return refuse(message,
                  "maskIterations is %g, more than the %g iterations, so the sparsity would not be reached; give at "
                  "most that",
                  parameters[MASK_ITERATIONS], parameters[ITERATIONS]);
  }
  status = prepare(&input, problems[0]->matrix, message);
  if (status == ESPALIER_OK) status = solve_each(host, problems, count, 0.5, solve_matrix, &input, message);
  free(input.norms);
  free(input.gram);
  if (status != ESPALIER_OK || (int)parameters[FINISH] == NONE) return status;
  return finish(&input, problems, count, message);
}

static const espalier_parameter *const parameter_list[] = {
  [ITERATIONS] = INTEGER("iterations", 20, 1, 10000, "Iterations of the splitting"),
  [MASK_ITERATIONS] = INTEGER("maskIterations", 15, 1, 10000,
                              "Iterations at the start in which the mask grows to the full sparsity; then it stays"),
  [DAMPING] = NUMBER("damping", 0.1, 0, 10,
                     "What is added to the diagonal of the scaled Gram matrix, as a fraction of its mean"),
  [FINISH] = CHOICE("finish", LEAST_SQUARES,
                    "Weights at the end: those of the splitting, or the exact least squares solution on the mask",
                    "none", "least-squares"),
  [FINISH_DAMPING] = NUMBER(
    "finishDamping", 0.01, 0, 10,
    "Damping of the least squares at the end, as a fraction of the mean diagonal of the Gram matrix"),
};

SOLVER_PLUGIN(
  "admm", "ADMM with a gradual mask: alternating directions on the layer's output error (Boza 2024)",
  "https://arxiv.org/abs/2401.02938",
  .statistics = ESPALIER_STATISTICS_GRAM, .default_group = ESPALIER_GROUP_MATRIX, PARAMETERS(parameter_list),
  .solve = solve);
