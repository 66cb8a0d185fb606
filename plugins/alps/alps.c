// alps: layer-wise pruning as an l0-constrained least squares problem (Meng et al. 2024, arXiv 2406.07831).
//
//   minimise ||W X - D X||^2 over D with k non-zeros, by splitting (algorithm 1):
//     B = (G + rho I)^-1 (G W - V + rho D)    D = top-k(B + V / rho)    V += rho (B - D)
//   then conjugate gradients on the support found.
//
// In coordinates scaled to a unit diagonal. One eigendecomposition of G serves all problems of a call and every rho;
// each matrix has a rho schedule of its own, as published. Products are in fp32, the eigendecomposition in double.

#include <stdlib.h>
#include <string.h>

#include "declare.h"
#include "projection.h"
#include "scaled_gram.h"
#include "solving.h"

enum { DAMPING, ITERATIONS, GRADIENT_STEPS };

#define PERIOD 3         // iterations between looks at the support
#define SETTLE 30        // iterations before a support that hardly changes is taken for final
#define SETTLED 0.0003   // of the kept weights
#define LEAST_RHO 1e-6

// What all problems of a call share.
struct input {
  const espalier_host *host;
  const espalier_linear_algebra *algebra;
  const double *parameters;
  int64_t n;
  double *norms;         // [n]
  float *gram;           // [n, n] scaled
  double *values;        // [n] eigenvalues
  float *vectors;        // [n, n] row i: eigenvector i
  float *weighted;       // [n, n] scratch: vectors / (values + rho)
  float *inverse;        // [n, n] (G + rho I)^-1
};

// One matrix. All float arrays are [rows, n].
struct state {
  struct input *input;
  const espalier_problem *problem;
  int64_t rows, n;
  float *aim;             // ^W ^G
  float *b, *d, *v, *right;
  uint8_t *kept, *before; // the support now, and at the last look
  float rho;
  double *squares;        // [rows] of conjugate gradients: r . r
};

// right = aim - v + rho d
static int32_t right_side_row(void *context, int64_t row) {
  const struct state *state = context;
  const int64_t at = row * state->n;
  const float *restrict aim = state->aim + at, *restrict v = state->v + at, *restrict d = state->d + at;
  float *restrict right = state->right + at;
  for (int64_t j = 0; j < state->n; j++) right[j] = aim[j] - v[j] + state->rho * d[j];
  return ESPALIER_OK;
}

// d = b + v / rho
static int32_t unmasked_row(void *context, int64_t row) {
  const struct state *state = context;
  const int64_t at = row * state->n;
  const float *restrict b = state->b + at, *restrict v = state->v + at;
  float *restrict d = state->d + at;
  for (int64_t j = 0; j < state->n; j++) d[j] = b[j] + v[j] / state->rho;
  return ESPALIER_OK;
}

// d keeps its support; v += rho (b - d)
static int32_t multiplier_row(void *context, int64_t row) {
  const struct state *state = context;
  const int64_t at = row * state->n;
  const float *restrict b = state->b + at;
  const uint8_t *restrict kept = state->kept + at;
  float *restrict d = state->d + at, *restrict v = state->v + at;
  for (int64_t j = 0; j < state->n; j++) {
    d[j] = kept[j] ? d[j] : 0;
    v[j] += state->rho * (b[j] - d[j]);
  }
  return ESPALIER_OK;
}

// inverse = vectors^T diag(1 / (values + rho)) vectors
static int32_t invert(struct input *input, double rho) {
  const int64_t n = input->n;
  for (int64_t i = 0; i < n; i++) {
    if (input->host->cancelled(input->host)) return ESPALIER_CANCELLED;
    const float factor = (float)(1 / ((input->values[i] > 0 ? input->values[i] : 0) + rho));
    for (int64_t j = 0; j < n; j++) input->weighted[i * n + j] = factor * input->vectors[i * n + j];
  }
  return input->algebra->product_f32(input->host, 1, 0, n, n, n, 1, input->vectors, n, input->weighted, n, 0,
                                     input->inverse, n);
}

// The mask of the largest entries of `values`.
static int32_t choose(const struct state *state, const float *values) {
  return projection_mask(state->input->host, state->problem->budget, state->rows, state->n, values, state->kept);
}

// d = b on the support, v = 0
static int32_t first_support_row(void *context, int64_t row) {
  const struct state *state = context;
  const int64_t at = row * state->n;
  for (int64_t j = at; j < at + state->n; j++) {
    state->d[j] = state->kept[j] ? state->b[j] : 0;
    state->v[j] = 0;
  }
  return ESPALIER_OK;
}

// The start: b = ^W, d its largest entries, v = 0.
static int32_t start(struct state *state) {
  const espalier_host *host = state->input->host;
  int32_t status = scale_weights(host, state->problem->matrix, state->input->norms, state->b);
  if (status == ESPALIER_OK) status = choose(state, state->b);
  return status == ESPALIER_OK ? host->parallel_for(host, state->rows, first_support_row, state) : status;
}

// The splitting. At the end `kept` has the largest entries of b.
static int32_t split(struct state *state, int64_t iterations) {
  struct input *input = state->input;
  const espalier_host *host = input->host;
  const int64_t n = state->n, numel = state->rows * n;
  const double budgeted = (double)(numel - budget_pruned(state->problem->budget, state->rows, n));
  double rho = 0.1;
  int grown = 0;
  int32_t status = invert(input, rho);
  memcpy(state->before, state->kept, (size_t)numel);
  for (int64_t iteration = 0; iteration < iterations && status == ESPALIER_OK; iteration++) {
    state->rho = (float)rho;
    if (host->cancelled(host)) return ESPALIER_CANCELLED;
    status = host->parallel_for(host, state->rows, right_side_row, state);
    if (status == ESPALIER_OK) {
      status = input->algebra->product_f32(host, 0, 0, state->rows, n, n, 1, state->right, n, input->inverse, n, 0,
                                           state->b, n);
    }
    if (status == ESPALIER_OK) status = host->parallel_for(host, state->rows, unmasked_row, state);
    if (status == ESPALIER_OK) status = choose(state, state->d);
    if (status == ESPALIER_OK) status = host->parallel_for(host, state->rows, multiplier_row, state);
    if (status != ESPALIER_OK || (iteration + 1) % PERIOD != 0) continue;

    int64_t changed = 0;
    for (int64_t i = 0; i < numel; i++) changed += state->kept[i] != state->before[i];
    memcpy(state->before, state->kept, (size_t)numel);
    const double share = budgeted > 0 ? (double)changed / budgeted : 0;
    if (share > 0.005) {
      rho *= share > 0.1 ? 1.3 : 1.2;
      grown = 1;
    } else if (grown) {
      if (changed == 0) break;
      rho *= 1.1;
    } else {  // rho is so large that it holds the first support: less of it, from the start if anything moved
      if (rho / 5 < LEAST_RHO) break;
      rho /= 5;
      if (changed > 0) status = start(state);
    }
    if (iteration >= SETTLE && share < SETTLED) break;
    if (rho > 1e6) rho = 1e6;
    if (status == ESPALIER_OK) status = invert(input, rho);
  }
  return status == ESPALIER_OK ? choose(state, state->b) : status;
}

// Conjugate gradients for ^G x = aim on the support, all rows side by side: x is b, the residual `right`, the direction
// d, its image v. The preconditioner is the diagonal of ^G, which is 1.
static int32_t first_solution_row(void *context, int64_t row) {
  const struct state *state = context;
  const int64_t at = row * state->n;
  for (int64_t j = at; j < at + state->n; j++) state->b[j] = state->kept[j] ? state->b[j] : 0;
  return ESPALIER_OK;
}

static int32_t first_direction_row(void *context, int64_t row) {
  struct state *state = context;
  const int64_t at = row * state->n;
  double squares = 0;
  for (int64_t j = at; j < at + state->n; j++) {
    const float residual = state->kept[j] ? state->aim[j] - state->v[j] : 0;
    state->right[j] = state->d[j] = residual;
    squares += (double)residual * residual;
  }
  state->squares[row] = squares;
  return ESPALIER_OK;
}

static int32_t step_row(void *context, int64_t row) {
  struct state *state = context;
  const int64_t at = row * state->n;
  double curvature = 0, squares = 0;
  for (int64_t j = at; j < at + state->n; j++) curvature += (double)state->d[j] * state->v[j];
  if (!(curvature > 0) || state->squares[row] == 0) return ESPALIER_OK;
  const float alpha = (float)(state->squares[row] / curvature);
  for (int64_t j = at; j < at + state->n; j++) {
    state->b[j] += alpha * state->d[j];
    const float residual = state->kept[j] ? state->right[j] - alpha * state->v[j] : 0;
    state->right[j] = residual;
    squares += (double)residual * residual;
  }
  const float beta = (float)(squares / state->squares[row]);
  for (int64_t j = at; j < at + state->n; j++) state->d[j] = state->right[j] + beta * state->d[j];
  state->squares[row] = squares;
  return ESPALIER_OK;
}

static int32_t polish(struct state *state, int64_t steps) {
  const struct input *input = state->input;
  const espalier_host *host = input->host;
  const int64_t n = state->n;
  int32_t status = host->parallel_for(host, state->rows, first_solution_row, state);
  for (int64_t step = 0; step <= steps && status == ESPALIER_OK; step++) {
    if (host->cancelled(host)) return ESPALIER_CANCELLED;
    status = input->algebra->product_f32(host, 0, 0, state->rows, n, n, 1, step == 0 ? state->b : state->d, n,
                                         input->gram, n, 0, state->v, n);
    if (status == ESPALIER_OK) {
      status = host->parallel_for(host, state->rows, step == 0 ? first_direction_row : step_row, state);
    }
  }
  return status;
}

// The arrays of `state` are there.
static int32_t solve_with(struct state *state) {
  const struct input *input = state->input;
  const int64_t n = state->n;
  int32_t status = start(state);
  if (status == ESPALIER_OK) {
    status = input->algebra->product_f32(input->host, 0, 0, state->rows, n, n, 1, state->b, n, input->gram, n, 0,
                                         state->aim, n);
  }
  if (status == ESPALIER_OK) status = split(state, (int64_t)input->parameters[ITERATIONS]);
  if (status == ESPALIER_OK) status = polish(state, (int64_t)input->parameters[GRADIENT_STEPS]);
  return status == ESPALIER_OK ? unscale_weights(input->host, state->problem, input->norms, state->b) : status;
}

static int32_t solve_matrix(void *context, const espalier_problem *problem) {
  struct input *input = context;
  const int64_t rows = problem->matrix->rows, n = input->n, numel = rows * n;
  struct state state = {.input = input, .problem = problem, .rows = rows, .n = n, .kept = problem->kept};
  float *arrays = malloc((size_t)numel * 5 * sizeof *arrays);
  state.before = malloc((size_t)numel);
  state.squares = calloc((size_t)rows, sizeof *state.squares);
  int32_t status = ESPALIER_OUT_OF_MEMORY;
  if (arrays != NULL && state.before != NULL && state.squares != NULL) {
    state.aim = arrays, state.b = arrays + numel, state.d = arrays + 2 * numel, state.v = arrays + 3 * numel;
    state.right = arrays + 4 * numel;
    status = solve_with(&state);
  }
  free(arrays);
  free(state.before);
  free(state.squares);
  return status;
}

// `scaled` in fp32, its eigenvalues and its eigenvectors in fp32; `scaled` is scratch afterwards.
static int32_t decompose(const struct input *input, double *scaled) {
  const int64_t n = input->n;
  int32_t status = narrow(input->host, scaled, n, n, input->gram);
  if (status == ESPALIER_OK) status = input->algebra->eigen_f64(input->host, n, scaled, n, input->values);
  return status == ESPALIER_OK ? narrow(input->host, scaled, n, n, input->vectors) : status;
}

// The scaled Gram matrix and its eigenvectors.
static int32_t prepare(struct input *input, const espalier_matrix *matrix, espalier_message *message) {
  const int64_t n = input->n;
  const double damping = input->parameters[DAMPING] * gram_mean_diagonal(matrix->gram);
  double *scaled = malloc((size_t)(n * n) * sizeof *scaled);
  input->norms = malloc((size_t)(2 * n) * sizeof(double));
  input->gram = malloc((size_t)(4 * n * n) * sizeof(float));
  int32_t status = ESPALIER_OUT_OF_MEMORY;
  if (scaled != NULL && input->norms != NULL && input->gram != NULL) {
    input->values = input->norms + n;
    input->vectors = input->gram + n * n, input->weighted = input->vectors + n * n;
    input->inverse = input->weighted + n * n;
    status = scale_gram(input->host, matrix, damping, input->norms, scaled, message);
    if (status == ESPALIER_OK) status = algebra_report(decompose(input, scaled), message);
  } else {
    espalier_report(message, status, "no memory for the eigenvectors of the Gram matrix");
  }
  free(scaled);
  return status;
}

static int32_t solve(const espalier_host *host, const espalier_problem *const *problems, int64_t count,
                     const double *parameters, espalier_message *message) {
  struct input input = {.host = host, .parameters = parameters, .n = problems[0]->matrix->columns};
  int32_t status = begin_solving(host, problems, count, &input.algebra, message);
  if (status == ESPALIER_OK) status = prepare(&input, problems[0]->matrix, message);
  if (status == ESPALIER_OK) status = solve_each(host, problems, count, 1, solve_matrix, &input, message);
  free(input.norms);
  free(input.gram);
  return status;
}

static const espalier_parameter *const parameter_list[] = {
  [DAMPING] = NUMBER("damping", 0.01, 0, 10,
                     "What is added to the diagonal of the Gram matrix, as a fraction of its mean"),
  [ITERATIONS] = INTEGER("iterations", 300, 3, 10000,
                         "Most iterations of the splitting; it ends sooner once the support stays"),
  [GRADIENT_STEPS] = INTEGER("gradientSteps", 10, 0, 1000, "Steps of conjugate gradients on the support at the end"),
};

SOLVER_PLUGIN(
  "alps", "ALPS: l0-constrained least squares by operator splitting and conjugate gradients (Meng et al. 2024)",
  "https://arxiv.org/abs/2406.07831",
  .statistics = ESPALIER_STATISTICS_GRAM, .default_group = ESPALIER_GROUP_MATRIX, PARAMETERS(parameter_list),
  .solve = solve);
