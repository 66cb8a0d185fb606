// regional-fit: kept weights of a block, fitted to what the block said before pruning (Yang et al. 2025, Wanda++,
// arXiv 2503.04992, "regional optimization").
//
//   g = gradient of mean (f_pruned(x) - f_dense(x))^2        v = 0.99 v + 0.01 g^2        w -= lr g / (sqrt(v) + 1e-8)
//
// RMSprop with PyTorch's defaults, one sequence a step, `samples` of them a round, for `rounds` rounds; pruned weights
// have no gradient. The mask stays: to prune again between rounds, as the paper does, is to run the method again.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "espalier_plugin.h"

enum { learning_rate_index, rounds_index, samples_index };

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

// One step of RMSprop on the kept weights of matrix i.
static int32_t step_matrix(const struct block *block, int64_t i, float learning_rate) {
  const int64_t numel = block->matrices[i]->rows * block->matrices[i]->columns;
  const uint8_t *restrict kept = block->kept[i];
  const float *restrict gradients = block->gradients[i];
  float *restrict weights = block->weights[i], *restrict squares = block->squares[i];
  for (int64_t k = 0; k < numel; k++) {
    if (!kept[k]) continue;
    const float g = gradients[k];
    squares[k] = DECAY * squares[k] + (1 - DECAY) * (g * g);
    weights[k] -= learning_rate * (g / (sqrtf(squares[k]) + EPSILON));
  }
  return ESPALIER_OK;
}

struct step_job {
  const struct block *block;
  float learning_rate;
};

static int32_t step_body(void *context, int64_t i) {
  const struct step_job *job = context;
  return step_matrix(job->block, i, job->learning_rate);
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
      snprintf(message->text, message->capacity,
               "the block's squared error became %g; take a smaller learningRate", loss);
      return ESPALIER_FAILED;
    }
    sum += loss;
    struct step_job job = {.block = block, .learning_rate = learning_rate};
    status = host->parallel_for(host, block->count, step_body, &job);
    if (status == ESPALIER_CANCELLED) return status;
    if (status != ESPALIER_OK) return espalier_report(message, status, "the host could not run a parallel loop");
  }
  *mean = sum / (double)samples;
  return ESPALIER_OK;
}

static int32_t run(const espalier_host *host, const espalier_region *region, const struct block *block,
                   const double *parameters, espalier_message *message) {
  const int64_t rounds = (int64_t)parameters[rounds_index], asked = (int64_t)parameters[samples_index];
  const int64_t samples = asked < region->samples ? asked : region->samples;
  double first = 0, last = 0;
  for (int64_t round = 0; round < rounds; round++) {
    const int32_t status = run_round(host, region, block, (float)parameters[learning_rate_index], samples, &last,
                                     message);
    if (status != ESPALIER_OK) return status;
    if (round == 0) first = last;
    host->progress(host, (double)(round + 1) / (double)rounds, NULL);
  }
  if (rounds < 2) return ESPALIER_OK;
  char text[200];
  snprintf(text, sizeof text, "mean squared error of the block's output: %.6g in the first round, %.6g in the last",
           first, last);
  host->diagnose(host, last > first ? ESPALIER_LOG_WARNING : ESPALIER_LOG_INFO, "regionalLoss",
                 block->matrices[0]->tensor, text);
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

static const espalier_parameter learning_rate = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_NUMBER,
  .name = "learningRate",
  .summary = "Step of RMSprop, 3e-7 as published",
  .default_value = 3e-7,
  .minimum = 0,
  .maximum = 1,
};

static const espalier_parameter rounds = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_INTEGER,
  .name = "rounds",
  .summary = "Passes over the samples",
  .default_value = 5,
  .minimum = 1,
  .maximum = 1000,
};

static const espalier_parameter samples = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_INTEGER,
  .name = "samples",
  .summary = "Calibration sequences that a round uses, evenly spaced; all if there are fewer",
  .default_value = 32,
  .minimum = 1,
  .maximum = 65536,
};

static const espalier_parameter *const parameter_list[] = {&learning_rate, &rounds, &samples};

static const espalier_block_compensator compensator = {
  .struct_size = sizeof(espalier_block_compensator),
  .parameter_count = sizeof parameter_list / sizeof parameter_list[0],
  .parameters = parameter_list,
  .fit = fit,
};

static const void *get_extension(const char *id) {
  return strcmp(id, ESPALIER_BLOCK_COMPENSATOR) == 0 ? &compensator : NULL;
}

const espalier_plugin_descriptor espalier_plugin = {
  .struct_size = sizeof(espalier_plugin_descriptor),
  .abi_major = ESPALIER_ABI_MAJOR,
  .abi_minor = ESPALIER_ABI_MINOR,
  .id = "regional-fit",
  .version = "1.0.0",
  .summary = "Kept weights of a block fitted to its output before pruning, by RMSprop (Wanda++, Yang et al. 2025)",
  .vendor = "Espalier",
  .licence = "Apache-2.0",
  .url = "https://arxiv.org/abs/2503.04992",
  .get_extension = get_extension,
};
