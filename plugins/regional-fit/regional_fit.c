// regional-fit: kept weights of a block, fitted to what the block said before pruning (Yang et al. 2025, Wanda++,
// arXiv 2503.04992, "regional optimization").
//
//   g = gradient of mean (f_pruned(x) - f_dense(x))^2        v = 0.99 v + 0.01 g^2        w -= lr g / (sqrt(v) + 1e-8)
//
// RMSprop with PyTorch's defaults, one sequence a step, `samples` of them a round, for `rounds` rounds; pruned weights
// have no gradient. The mask stays: to prune again between rounds, as the paper does, is to run the method again.

#include <math.h>
#include <stdlib.h>

#include "declare.h"
#include "loops.h"

enum { LEARNING_RATE, ROUNDS, SAMPLES };

#define DECAY 0.99f
#define EPSILON 1e-8f

struct block {
  const espalier_matrix *const *matrices;
  const uint8_t *const *kept;
  float *const *weights;
  float **gradients, **squares;  // `count` arrays each, in `storage`
  float *storage;
  int64_t count;
};

struct step_job {
  const espalier_host *host;
  const struct block *block;
  float learning_rate;
};

// One step of RMSprop on the kept weights of matrix i.
static int32_t step_matrix(void *context, int64_t i) {
  const struct step_job *job = context;
  const espalier_matrix *matrix = job->block->matrices[i];
  for (int64_t row = 0; row < matrix->rows; row++) {
    if (job->host->cancelled(job->host)) return ESPALIER_CANCELLED;
    const int64_t at = row * matrix->columns;
    const uint8_t *restrict kept = job->block->kept[i] + at;
    const float *restrict gradients = job->block->gradients[i] + at;
    float *restrict weights = job->block->weights[i] + at, *restrict squares = job->block->squares[i] + at;
    for (int64_t j = 0; j < matrix->columns; j++) {
      if (!kept[j]) continue;
      const float g = gradients[j];
      squares[j] = DECAY * squares[j] + (1 - DECAY) * (g * g);
      weights[j] -= job->learning_rate * (g / (sqrtf(squares[j]) + EPSILON));
    }
  }
  return ESPALIER_OK;
}

// One round over the samples; `*mean` is the mean loss met on the way.
static int32_t run_round(const espalier_host *host, const espalier_region *region, const struct block *block,
                         float learning_rate, int64_t samples, double *mean, espalier_message *message) {
  double sum = 0;
  for (int64_t s = 0; s < samples; s++) {
    if (host->cancelled(host)) return ESPALIER_CANCELLED;
    double loss = NAN;
    int32_t status = region->gradient(host, s * region->samples / samples, 1, (const float *const *)block->weights,
                                      block->gradients, &loss);
    if (status == ESPALIER_CANCELLED) return status;
    if (status != ESPALIER_OK) return espalier_report(message, status, "the host gave no gradient of the block");
    if (!isfinite(loss)) {
      return report(message, ESPALIER_FAILED, "the block's squared error became %g; take a smaller learningRate",
                    loss);
    }
    sum += loss;
    struct step_job job = {.host = host, .block = block, .learning_rate = learning_rate};
    status = run_loop(host, block->count, step_matrix, &job, "matrices", message);
    if (status != ESPALIER_OK) return status;
  }
  *mean = sum / (double)samples;
  return ESPALIER_OK;
}

static int32_t run(const espalier_host *host, const espalier_region *region, const struct block *block,
                   const double *parameters, espalier_message *message) {
  const int64_t rounds = (int64_t)parameters[ROUNDS], asked = (int64_t)parameters[SAMPLES];
  const int64_t samples = asked < region->samples ? asked : region->samples;
  double first = 0, last = 0;
  for (int64_t round = 0; round < rounds; round++) {
    const int32_t status = run_round(host, region, block, (float)parameters[LEARNING_RATE], samples, &last,
                                     message);
    if (status != ESPALIER_OK) return status;
    if (round == 0) first = last;
    host->progress(host, (double)(round + 1) / (double)rounds, NULL);
  }
  if (rounds < 2) return ESPALIER_OK;
  diagnose(host, last > first ? ESPALIER_LOG_WARNING : ESPALIER_LOG_INFO, "regionalLoss", block->matrices[0]->tensor,
           "mean squared error of the block's output: %.6g in the first round, %.6g in the last", first, last);
  return ESPALIER_OK;
}

static int32_t fit(const espalier_host *host, const espalier_matrix *const *matrices, int64_t count,
                   const uint8_t *const *kept, const double *parameters, float *const *weights,
                   espalier_message *message) {
  const espalier_region *region = host->get_extension(host, ESPALIER_REGION);
  if (region == NULL || region->samples < 1) {
    return espalier_report(message, ESPALIER_INVALID_ARGUMENT,
                           "the block comes without calibration sequences; give a calibration dataset");
  }
  int64_t numel = 0;
  for (int64_t i = 0; i < count; i++) numel += matrices[i]->rows * matrices[i]->columns;
  struct block block = {.matrices = matrices, .kept = kept, .weights = weights, .count = count};
  block.storage = calloc((size_t)numel, 2 * sizeof(float));
  block.gradients = calloc((size_t)count, 2 * sizeof(float *));
  int32_t status = ESPALIER_OUT_OF_MEMORY;
  if (block.storage == NULL || block.gradients == NULL) {
    espalier_report(message, status, "no memory for the gradients of the block and their squares");
  } else {
    block.squares = block.gradients + count;
    float *next = block.storage;
    for (int64_t i = 0; i < count; i++) {
      const int64_t size = matrices[i]->rows * matrices[i]->columns;
      block.gradients[i] = next, block.squares[i] = next + size;
      next += 2 * size;
    }
    status = run(host, region, &block, parameters, message);
  }
  free(block.storage);
  free(block.gradients);
  return status;
}

static const espalier_parameter *const parameter_list[] = {
  [LEARNING_RATE] = NUMBER("learningRate", 3e-7, 0, 1, "Step of RMSprop, 3e-7 as published"),
  [ROUNDS] = INTEGER("rounds", 5, 1, 1000, "Passes over the samples"),
  [SAMPLES] = INTEGER("samples", 32, 1, 65536,
                      "Calibration sequences that a round uses, evenly spaced; all if there are fewer"),
};

BLOCK_COMPENSATOR_PLUGIN(
  "regional-fit", "Kept weights of a block fitted to its output before pruning, by RMSprop (Wanda++, Yang et al. 2025)",
  "https://arxiv.org/abs/2503.04992",
  PARAMETERS(parameter_list), .fit = fit);
