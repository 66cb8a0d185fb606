// sparsegpt: masks and weights column by column (Frantar and Alistarh 2023, arXiv 2301.00774, algorithm 1).
//
//   H = 2/n sum x x^T + damping I      H^-1 = U^T U      score of w_ij = w_ij^2 / U_jj^2
//   e = (w_j - m_j w_j) / U_jj         w_k -= e U_jk for k > j
//
// Columns go in blocks: the mask of a block is chosen when it is reached, over all rows; N:M groups choose when they
// are reached, with the weights as updated so far. The factor is in double, the recursion in fp32 as published. Rows
// are independent once the mask is there; LANES of them lie side by side so that the compiler vectorises over them.

#include <stdlib.h>
#include <string.h>

#include "declare.h"
#include "obs_factor.h"
#include "selection.h"
#include "solving.h"

#define LANES 64

enum { BLOCK_SIZE, DAMPING };

// What all problems of a call share.
struct input {
  const espalier_host *host;
  const espalier_linear_algebra *algebra;
  const float *upper;  // [columns, columns] U
  int64_t block_size;
};

// One block of columns of one matrix.
struct block_job {
  const espalier_host *host;
  const espalier_budget *budget;
  const float *upper;  // [columns, columns]
  float *weights;      // [rows, columns]
  uint8_t *kept;       // [rows, columns]
  float *scores;       // [rows, width]
  float *errors;       // [rows, width]
  int64_t rows, columns, first, width;
  int64_t pruned;      // of the blocks before, in the matrix's group
};

static float score(float w, float u) { return (w * w) / (u * u); }

// scores = w^2 / U_jj^2 of LANES rows
static int32_t score_rows(void *context, int64_t tile) {
  const struct block_job *job = context;
  const int64_t end = (tile + 1) * LANES < job->rows ? (tile + 1) * LANES : job->rows;
  for (int64_t i = tile * LANES; i < end; i++) {
    const float *w = job->weights + i * job->columns + job->first;
    for (int64_t j = 0; j < job->width; j++) {
      job->scores[i * job->width + j] = score(w[j], job->upper[(job->first + j) * (job->columns + 1)]);
    }
  }
  return ESPALIER_OK;
}

// How many weights of a block go in the matrix's group: floor(numel * s) + 1, as published, but never so that all
// blocks up to here lose fewer than their floor, or more than that and one for each 128 columns: blocks of another size
// than the published one would miss the budget. For blocks of 128 columns the bounds hold by themselves.
static int64_t count_in_block(const struct block_job *job) {
  const double s = job->budget->sparsity;
  const int64_t end = job->first + job->width, numel = job->rows * job->width;
  // To prune nothing or everything there is nothing to choose (the published index would prune 1, or leave the array).
  if (s == 0 || s == 1) return s == 0 ? 0 : numel;
  const int64_t least = budget_count(job->rows * end, s) - job->pruned, greatest = least + (end + 127) / 128;
  const int64_t published = budget_count(numel, s) + 1;
  const int64_t count = published < least ? least : published > greatest ? greatest : published;
  return count < 0 ? 0 : count > numel ? numel : count;
}

// The matrix's group: all scores <= sorted[count - 1].
static int32_t choose_in_block(struct block_job *job, const char *tensor) {
  const int64_t numel = job->rows * job->width, count = count_in_block(job);
  for (int64_t i = 0; i < job->rows; i++) {
    memset(job->kept + i * job->columns + job->first, count < numel, (size_t)job->width);
  }
  job->pruned += count;
  if (count == 0 || count == numel) return ESPALIER_OK;
  struct selection found;
  const int32_t status = selection_find(job->host, job->scores, numel, count - 1, &found);
  if (status != ESPALIER_OK) return status;
  int64_t last = numel - 1;
  if (found.below + found.equal > count + numel / 2000) {
    last = selection_last_tie(job->scores, numel, &found, count);
    diagnose(job->host, ESPALIER_LOG_INFO, "tiedScores", tensor,
             "columns from %lld: %lld weights have the same score %g where %lld were to go; the first of them went",
             (long long)job->first, (long long)found.equal, (double)job->scores[last >= 0 ? last : 0],
             (long long)(count - found.below));
  }
  for (int64_t i = 0; i < job->rows; i++) {
    uint8_t *kept = job->kept + i * job->columns + job->first;
    for (int64_t j = 0; j < job->width; j++) {
      const uint32_t key = selection_key(job->scores[i * job->width + j]);
      if (key < found.key || (key == found.key && i * job->width + j <= last)) kept[j] = 0;
    }
  }
  return ESPALIER_OK;
}

// A group in each row: counts of successive blocks add up to floor(columns * s).
static int32_t choose_in_row(void *context, int64_t row) {
  const struct block_job *job = context;
  const double s = job->budget->sparsity;
  const int64_t count = budget_count(job->first + job->width, s) - budget_count(job->first, s);
  return selection_mark_groups(job->scores + row * job->width, job->width, job->width, count,
                               job->kept + row * job->columns + job->first);
}

// A group in each column.
static int32_t choose_in_column(void *context, int64_t column) {
  const struct block_job *job = context;
  return selection_mark_column(job->scores + column, job->rows, job->width,
                               budget_count(job->rows, job->budget->sparsity),
                               job->kept + job->first + column, job->columns);
}

// The N of the M weights from column j on that score least go, in each of LANES rows; w and kept are [width, LANES].
static void choose_in_group(const struct block_job *job, int64_t j, const float *w, float *kept) {
  const int64_t size = job->budget->pattern_size;
  for (int64_t lane = 0; lane < LANES; lane++) {
    for (int64_t k = j; k < j + size; k++) kept[k * LANES + lane] = 1;
    for (int64_t taken = 0; taken < job->budget->pattern_prune; taken++) {
      int64_t least = -1;
      float least_score = 0;
      for (int64_t k = j; k < j + size; k++) {
        const float value = score(w[k * LANES + lane], job->upper[(job->first + k) * (job->columns + 1)]);
        if (kept[k * LANES + lane] != 0 && (least < 0 || value < least_score)) least = k, least_score = value;
      }
      kept[least * LANES + lane] = 0;
    }
  }
}

// The recursion of one block for LANES rows: reads weights and mask, writes both and the errors.
static int32_t solve_rows(void *context, int64_t tile) {
  const struct block_job *job = context;
  const int64_t n = job->columns, width = job->width, first_row = tile * LANES;
  const int64_t count = job->rows - first_row < LANES ? job->rows - first_row : LANES;
  float *w = calloc((size_t)(2 * width * LANES), sizeof *w);  // [width, LANES], twice
  if (w == NULL) return ESPALIER_OUT_OF_MEMORY;
  float *kept = w + width * LANES;
  for (int64_t lane = 0; lane < count; lane++) {
    const int64_t at = (first_row + lane) * n + job->first;
    for (int64_t j = 0; j < width; j++) {
      w[j * LANES + lane] = job->weights[at + j];
      kept[j * LANES + lane] = job->kept[at + j];
    }
  }
  int32_t status = ESPALIER_OK;
  for (int64_t j = 0; j < width && status == ESPALIER_OK; j++) {
    if (job->host->cancelled(job->host)) status = ESPALIER_CANCELLED;
    if (job->budget->pattern_size > 0 && j % job->budget->pattern_size == 0) choose_in_group(job, j, w, kept);
    const float *upper = job->upper + (job->first + j) * n + job->first;
    float error[LANES];
    for (int lane = 0; lane < LANES; lane++) {
      const float value = w[j * LANES + lane], rest = value * kept[j * LANES + lane];
      error[lane] = (value - rest) / upper[j];
      w[j * LANES + lane] = rest;
    }
    for (int64_t k = j + 1; k < width; k++) {
      const float u = upper[k];
      float *restrict later = w + k * LANES;
      for (int lane = 0; lane < LANES; lane++) later[lane] -= error[lane] * u;
    }
    for (int64_t lane = 0; lane < count; lane++) job->errors[(first_row + lane) * width + j] = error[lane];
  }
  for (int64_t lane = 0; lane < count; lane++) {
    const int64_t at = (first_row + lane) * n + job->first;
    for (int64_t j = 0; j < width; j++) {
      job->weights[at + j] = w[j * LANES + lane];
      job->kept[at + j] = kept[j * LANES + lane] != 0;
    }
  }
  free(w);
  return status;
}

// One block: its mask, its recursion, and the update of all columns after it by one product.
static int32_t solve_block(struct block_job *job, const espalier_linear_algebra *algebra, const char *tensor) {
  const espalier_host *host = job->host;
  const int64_t tiles = (job->rows + LANES - 1) / LANES;
  int32_t status = ESPALIER_OK;
  if (job->budget->pattern_size == 0) {
    status = host->parallel_for(host, tiles, score_rows, job);
    if (status != ESPALIER_OK) return status;
    if (job->budget->group == ESPALIER_GROUP_ROW) status = host->parallel_for(host, job->rows, choose_in_row, job);
    else if (job->budget->group == ESPALIER_GROUP_COLUMN)
      status = host->parallel_for(host, job->width, choose_in_column, job);
    else status = choose_in_block(job, tensor);
  }
  if (status == ESPALIER_OK) status = host->parallel_for(host, tiles, solve_rows, job);
  const int64_t end = job->first + job->width, rest = job->columns - end;
  if (status != ESPALIER_OK || rest == 0) return status;
  return algebra->product_f32(host, 0, 0, job->rows, rest, job->width, -1, job->errors, job->width,
                              job->upper + job->first * job->columns + end, job->columns, 1, job->weights + end,
                              job->columns);
}

// All blocks of one matrix.
static int32_t solve_matrix(void *context, const espalier_problem *problem) {
  const struct input *input = context;
  const espalier_host *host = input->host;
  const espalier_matrix *matrix = problem->matrix;
  const espalier_gram *gram = matrix->gram;
  const int64_t rows = matrix->rows, n = matrix->columns, size = problem->budget->pattern_size;
  int64_t block_size = input->block_size;
  if (size > 0) block_size = block_size < size ? size : block_size - block_size % size;
  if (block_size > n) block_size = n;

  for (int64_t j = 0; j < n; j++) {
    for (int64_t i = 0; i < rows && gram->products[j * n + j] == 0; i++) problem->weights[i * n + j] = 0;
  }
  float *scratch = malloc((size_t)(2 * rows * block_size) * sizeof *scratch);
  if (scratch == NULL) return ESPALIER_OUT_OF_MEMORY;
  struct block_job job = {.host = host, .budget = problem->budget, .upper = input->upper, .rows = rows, .columns = n,
                          .weights = problem->weights, .kept = problem->kept, .scores = scratch,
                          .errors = scratch + rows * block_size};
  int32_t status = ESPALIER_OK;
  for (; job.first < n && status == ESPALIER_OK; job.first += job.width) {
    job.width = n - job.first < block_size ? n - job.first : block_size;
    status = host->cancelled(host) ? ESPALIER_CANCELLED : solve_block(&job, input->algebra, matrix->tensor);
  }
  free(scratch);
  return status;
}

// Says of every problem how many of the inputs are 0 for every token, if any are.
static void tell_dead_inputs(const espalier_host *host, const espalier_problem *const *problems, int64_t count) {
  const espalier_gram *gram = problems[0]->matrix->gram;
  int64_t dead = 0;
  for (int64_t i = 0; i < gram->count; i++) dead += gram->products[i * gram->count + i] == 0;
  for (int64_t p = 0; p < count && dead > 0; p++) {
    diagnose(host, ESPALIER_LOG_WARNING, "deadInputs", problems[p]->matrix->tensor,
             "%lld of %lld inputs are 0 for every token; their weights are set to 0", (long long)dead,
             (long long)gram->count);
  }
}

// Matrices that share the input share the factor.
static int32_t solve(const espalier_host *host, const espalier_problem *const *problems, int64_t count,
                     const double *parameters, espalier_message *message) {
  const espalier_linear_algebra *algebra;
  int32_t status = begin_solving(host, problems, count, &algebra, message);
  if (status != ESPALIER_OK) return status;
  tell_dead_inputs(host, problems, count);
  const espalier_matrix *first = problems[0]->matrix;
  float *upper = malloc((size_t)(first->columns * first->columns) * sizeof *upper);
  if (upper == NULL) return espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for the factor");
  status = obs_factor(host, algebra, first, parameters[DAMPING], upper, message);
  if (status == ESPALIER_OK) {
    struct input input = {.host = host, .algebra = algebra, .upper = upper,
                          .block_size = (int64_t)parameters[BLOCK_SIZE]};
    status = solve_each(host, problems, count, 1, solve_matrix, &input, message);
  }
  free(upper);
  return status;
}

static const espalier_parameter *const parameter_list[] = {
  [BLOCK_SIZE] = INTEGER("blockSize", 128, 1, 4096,
                         "Columns whose mask is chosen at once; a multiple of M is taken for an N:M pattern"),
  [DAMPING] = NUMBER("damping", 0.01, 0, 10, "What is added to the diagonal of the Hessian, as a fraction of its mean"),
};

SOLVER_PLUGIN(
  "sparsegpt", "SparseGPT: optimal brain surgery column by column, masks by w^2 / U_jj^2 (Frantar and Alistarh 2023)",
  "https://arxiv.org/abs/2301.00774",
  .statistics = ESPALIER_STATISTICS_GRAM, .default_group = ESPALIER_GROUP_MATRIX, PARAMETERS(parameter_list),
  .solve = solve);
