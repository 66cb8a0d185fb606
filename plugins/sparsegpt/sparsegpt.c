// sparsegpt: masks and weights column by column (Frantar and Alistarh 2023, arXiv 2301.00774, algorithm 1).
//
//   H = 2/n sum x x^T + damping I      H^-1 = U^T U      score of w_ij = w_ij^2 / U_jj^2
//   e = (w_j - m_j w_j) / U_jj         w_k -= e U_jk for k > j
//
// Columns go in blocks: the mask of a block is chosen when it is reached, over all rows; N:M groups choose when they
// are reached, with the weights as updated so far. The factor is in double, the recursion in fp32 as published. Rows
// are independent once the mask is there; LANES of them lie side by side so that the compiler vectorises over them.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "algebra.h"
#include "gram.h"
#include "obs_factor.h"
#include "projection.h"
#include "selection.h"

#define LANES 64

enum { block_size_index, damping_index };

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

// scores = w^2 / U_jj^2 of LANES rows
static int32_t score_rows(void *context, int64_t tile) {
  const struct block_job *job = context;
  const int64_t end = (tile + 1) * LANES < job->rows ? (tile + 1) * LANES : job->rows;
  for (int64_t i = tile * LANES; i < end; i++) {
    const float *w = job->weights + i * job->columns + job->first;
    for (int64_t j = 0; j < job->width; j++) {
      const float u = job->upper[(job->first + j) * (job->columns + 1)];
      job->scores[i * job->width + j] = (w[j] * w[j]) / (u * u);
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
  const int64_t least = selection_count(job->rows * end, s) - job->pruned, greatest = least + (end + 127) / 128;
  const int64_t published = selection_count(numel, s) + 1;
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
    char text[200];
    snprintf(text, sizeof text,
             "columns from %lld: %lld weights have the same score %g where %lld were to go; the first of them went",
             (long long)job->first, (long long)found.equal,
             (double)job->scores[last >= 0 ? last : 0], (long long)(count - found.below));
    job->host->diagnose(job->host, ESPALIER_LOG_INFO, "tiedScores", tensor, text);
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
  const int64_t count = selection_count(job->first + job->width, s) - selection_count(job->first, s);
  uint32_t *scratch = malloc((size_t)job->width * sizeof *scratch);
  if (scratch == NULL) return ESPALIER_OUT_OF_MEMORY;
  selection_mark(job->scores + row * job->width, job->width, count, scratch,
                 job->kept + row * job->columns + job->first);
  free(scratch);
  return ESPALIER_OK;
}

// A group in each column.
static int32_t choose_in_column(void *context, int64_t column) {
  const struct block_job *job = context;
  float *values = malloc((size_t)job->rows * (sizeof(float) + sizeof(uint32_t) + 1));
  if (values == NULL) return ESPALIER_OUT_OF_MEMORY;
  uint32_t *scratch = (uint32_t *)(values + job->rows);
  uint8_t *kept = (uint8_t *)(scratch + job->rows);
  for (int64_t i = 0; i < job->rows; i++) values[i] = job->scores[i * job->width + column];
  selection_mark(values, job->rows, selection_count(job->rows, job->budget->sparsity), scratch, kept);
  for (int64_t i = 0; i < job->rows; i++) job->kept[i * job->columns + job->first + column] = kept[i];
  free(values);
  return ESPALIER_OK;
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
        const float u = job->upper[(job->first + k) * (job->columns + 1)], value = w[k * LANES + lane];
        const float score = (value * value) / (u * u);
        if (kept[k * LANES + lane] != 0 && (least < 0 || score < least_score)) least = k, least_score = score;
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
  for (int64_t j = 0; j < width; j++) {
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
  return ESPALIER_OK;
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
static int32_t solve_matrix(const espalier_host *host, const espalier_linear_algebra *algebra,
                            const espalier_problem *problem, const float *upper, int64_t block_size) {
  const espalier_matrix *matrix = problem->matrix;
  const espalier_gram *gram = matrix->gram;
  const int64_t rows = matrix->rows, n = matrix->columns, size = problem->budget->pattern_size;
  if (size > 0) block_size = block_size < size ? size : block_size - block_size % size;
  if (block_size > n) block_size = n;

  for (int64_t j = 0; j < n; j++) {
    for (int64_t i = 0; i < rows && gram->products[j * n + j] == 0; i++) problem->weights[i * n + j] = 0;
  }
  float *scratch = malloc((size_t)(2 * rows * block_size) * sizeof *scratch);
  if (scratch == NULL) return ESPALIER_OUT_OF_MEMORY;
  struct block_job job = {.host = host, .budget = problem->budget, .upper = upper, .weights = problem->weights,
                          .kept = problem->kept, .scores = scratch, .errors = scratch + rows * block_size,
                          .rows = rows, .columns = n};
  int32_t status = ESPALIER_OK;
  for (; job.first < n && status == ESPALIER_OK; job.first += job.width) {
    job.width = n - job.first < block_size ? n - job.first : block_size;
    status = host->cancelled(host) ? ESPALIER_CANCELLED : solve_block(&job, algebra, matrix->tensor);
  }
  free(scratch);
  return status;
}

// Matrices that share the input share the factor.
static int32_t solve(const espalier_host *host, const espalier_problem *const *problems, int64_t count,
                     const double *parameters, espalier_message *message) {
  const espalier_linear_algebra *algebra = algebra_of(host, message);
  if (algebra == NULL) return ESPALIER_FAILED;
  const espalier_matrix *first = problems[0]->matrix;
  int32_t status = gram_check(first, message);
  for (int64_t p = 0; p < count && status == ESPALIER_OK; p++) {
    status = projection_check(problems[p]->matrix, problems[p]->budget, message);
  }
  if (status != ESPALIER_OK) return status;

  const int64_t n = first->columns, dead = gram_dead_inputs(first->gram);
  if (dead > 0) {
    char text[200];
    snprintf(text, sizeof text, "%lld of %lld inputs are 0 for every token; their weights are set to 0",
             (long long)dead, (long long)n);
    for (int64_t p = 0; p < count; p++) {
      host->diagnose(host, ESPALIER_LOG_WARNING, "deadInputs", problems[p]->matrix->tensor, text);
    }
  }
  float *upper = malloc((size_t)(n * n) * sizeof *upper);
  if (upper == NULL) return espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for the factor");
  status = obs_factor(host, algebra, first, parameters[damping_index], upper, message);
  for (int64_t p = 0; p < count && status == ESPALIER_OK; p++) {
    status = algebra_report(solve_matrix(host, algebra, problems[p], upper, (int64_t)parameters[block_size_index]),
                            message);
    host->progress(host, (double)(p + 1) / (double)count, NULL);
  }
  free(upper);
  return status;
}

static const espalier_parameter block_size = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_INTEGER,
  .name = "blockSize",
  .summary = "Columns whose mask is chosen at once; a multiple of M is taken for an N:M pattern",
  .default_value = 128,
  .minimum = 1,
  .maximum = 4096,
};

static const espalier_parameter damping = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_NUMBER,
  .name = "damping",
  .summary = "What is added to the diagonal of the Hessian, as a fraction of its mean",
  .default_value = 0.01,
  .minimum = 0,
  .maximum = 10,
};

static const espalier_parameter *const parameter_list[] = {&block_size, &damping};

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
  .id = "sparsegpt",
  .version = "1.0.0",
  .summary = "SparseGPT: optimal brain surgery column by column, masks by w^2 / U_jj^2 (Frantar and Alistarh 2023)",
  .vendor = "Espalier",
  .licence = "Apache-2.0",
  .url = "https://arxiv.org/abs/2301.00774",
  .get_extension = get_extension,
};
