// espalier_plugin.h: the plugin ABI of Espalier, version 1.1, without its comments.
// SPDX-License-Identifier: Apache-2.0

#ifndef ESPALIER_PLUGIN_H
#define ESPALIER_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ESPALIER_ABI_MAJOR 1
#define ESPALIER_ABI_MINOR 1

#define ESPALIER_HAS(type, pointer, field) \
  ((pointer)->struct_size >= offsetof(type, field) + sizeof((pointer)->field))

#define ESPALIER_OK 0
#define ESPALIER_CANCELLED 1
#define ESPALIER_INVALID_ARGUMENT 2
#define ESPALIER_FAILED 3
#define ESPALIER_OUT_OF_MEMORY 4

typedef struct espalier_message {
  uint32_t struct_size;
  uint32_t reserved;
  char *text;
  size_t capacity;
} espalier_message;

static inline int32_t espalier_report(espalier_message *message, int32_t status, const char *text) {
  size_t i = 0;
  if (message->capacity == 0) return status;
  for (; i + 1 < message->capacity && text[i] != '\0'; i++) message->text[i] = text[i];
  message->text[i] = '\0';
  return status;
}

#define ESPALIER_LOG_ERROR 1
#define ESPALIER_LOG_WARNING 2
#define ESPALIER_LOG_INFO 3
#define ESPALIER_LOG_DEBUG 4

typedef struct espalier_host {
  uint32_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor;
  uint32_t reserved;
  void *context;

  const void *(*get_extension)(const struct espalier_host *host, const char *id);

  void (*log)(const struct espalier_host *host, int32_t level, const char *text);

  void (*progress)(const struct espalier_host *host, double fraction, const char *text);

  int32_t (*cancelled)(const struct espalier_host *host);

  int32_t (*parallel_for)(const struct espalier_host *host, int64_t count,
                          int32_t (*body)(void *context, int64_t index), void *context);

  void (*diagnose)(const struct espalier_host *host, int32_t level, const char *kind, const char *tensor,
                   const char *text);
} espalier_host;

typedef struct espalier_plugin_descriptor {
  uint32_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor;
  uint32_t reserved;

  const char *id;
  const char *version;
  const char *summary;
  const char *vendor;
  const char *licence;
  const char *url;

  const void *(*get_extension)(const char *id);
} espalier_plugin_descriptor;

#if defined(__GNUC__)
#define ESPALIER_EXPORT __attribute__((visibility("default")))
#else
#define ESPALIER_EXPORT
#endif

extern ESPALIER_EXPORT const espalier_plugin_descriptor espalier_plugin;

#define ESPALIER_NUMBER 0
#define ESPALIER_INTEGER 1
#define ESPALIER_BOOLEAN 2
#define ESPALIER_CHOICE 3

typedef struct espalier_parameter {
  uint32_t struct_size;
  int32_t type;
  const char *name;
  const char *summary;
  double default_value;
  double minimum;
  double maximum;
  uint32_t choice_count;
  uint32_t reserved;
  const char *const *choices;
} espalier_parameter;

#define ESPALIER_SELECTOR "espalier.selector/1"

#define ESPALIER_STATISTICS_NONE 0
#define ESPALIER_STATISTICS_MOMENTS 1
#define ESPALIER_STATISTICS_GRAM 2
#define ESPALIER_STATISTICS_CROSS_GRAM 4
#define ESPALIER_STATISTICS_GRADIENTS 8
#define ESPALIER_STATISTICS_REGIONAL_GRADIENTS 16

#define ESPALIER_GROUP_MATRIX 0
#define ESPALIER_GROUP_ROW 1
#define ESPALIER_GROUP_COLUMN 2
#define ESPALIER_GROUP_GLOBAL 3

typedef struct espalier_moments {
  uint32_t struct_size;
  uint32_t reserved;
  int64_t sequences;
  int64_t tokens;
  int64_t count;
  const double *sum;
  const double *sum_of_squares;
  const double *sum_of_magnitudes;
  const double *sum_of_squared_means;
} espalier_moments;

typedef struct espalier_gram {
  uint32_t struct_size;
  uint32_t reserved;
  int64_t sequences;
  int64_t tokens;
  int64_t count;
  const float *products;
  const float *cross;
} espalier_gram;

typedef struct espalier_gradients {
  uint32_t struct_size;
  uint32_t reserved;
  int64_t samples;
  int64_t steps;
  const float *sum;
  const float *sum_of_squares;
  const float *movement;
} espalier_gradients;

typedef struct espalier_term {
  uint32_t struct_size;
  uint32_t reserved;
  const char *name;
  const float *scores;
} espalier_term;

typedef struct espalier_matrix {
  uint32_t struct_size;
  uint32_t reserved;
  const char *tensor;
  int64_t layer;
  int64_t rows;
  int64_t columns;
  const float *weights;
  const espalier_moments *moments;
  const espalier_gram *gram;
  const espalier_gradients *gradients;
  const espalier_gradients *regional_gradients;
  const espalier_term *const *terms;
  int64_t term_count;
} espalier_matrix;

typedef struct espalier_selector {
  uint32_t struct_size;
  uint32_t statistics;
  int32_t default_group;
  uint32_t parameter_count;
  const espalier_parameter *const *parameters;

  int32_t (*score)(const espalier_host *host, const espalier_matrix *matrix, const double *parameters, float *scores,
                   espalier_message *message);

  uint32_t (*statistics_for)(const double *parameters, int32_t has_dataset);
  uint32_t term_count;
  uint32_t rounds;
  const char *const *terms;
  const char *compensator;
} espalier_selector;

typedef struct espalier_budget {
  uint32_t struct_size;
  int32_t group;
  double sparsity;
  int64_t pattern_prune;
  int64_t pattern_size;
  uint32_t round;
  uint32_t rounds_left;
} espalier_budget;

#define ESPALIER_SOLVER "espalier.solver/1"

typedef struct espalier_problem {
  uint32_t struct_size;
  uint32_t reserved;
  const espalier_matrix *matrix;
  const espalier_budget *budget;
  uint8_t *kept;
  float *weights;
} espalier_problem;

typedef struct espalier_solver {
  uint32_t struct_size;
  uint32_t statistics;
  int32_t default_group;
  uint32_t parameter_count;
  const espalier_parameter *const *parameters;

  int32_t (*solve)(const espalier_host *host, const espalier_problem *const *problems, int64_t count,
                   const double *parameters, espalier_message *message);
} espalier_solver;

#define ESPALIER_COMPENSATOR "espalier.compensator/1"

typedef struct espalier_compensator {
  uint32_t struct_size;
  uint32_t statistics;
  uint32_t parameter_count;
  uint32_t changes_bias;
  const espalier_parameter *const *parameters;

  int32_t (*compensate)(const espalier_host *host, const espalier_matrix *matrix, const uint8_t *kept,
                        const espalier_budget *budget, const double *parameters, float *weights, float *bias,
                        espalier_message *message);
} espalier_compensator;

#define ESPALIER_REFINER "espalier.refiner/1"

typedef struct espalier_refiner {
  uint32_t struct_size;
  uint32_t statistics;
  uint32_t parameter_count;
  uint32_t reserved;
  const espalier_parameter *const *parameters;

  int32_t (*refine)(const espalier_host *host, const espalier_matrix *matrix, const espalier_budget *budget,
                    const float *scores, const double *parameters, uint8_t *kept, espalier_message *message);
} espalier_refiner;

#define ESPALIER_BLOCK_COMPENSATOR "espalier.block-compensator/1"

typedef struct espalier_block_compensator {
  uint32_t struct_size;
  uint32_t parameter_count;
  const espalier_parameter *const *parameters;

  int32_t (*fit)(const espalier_host *host, const espalier_matrix *const *matrices, int64_t count,
                 const uint8_t *const *kept, const double *parameters, float *const *weights,
                 espalier_message *message);
} espalier_block_compensator;

#define ESPALIER_REGION "espalier.region/1"

typedef struct espalier_region {
  uint32_t struct_size;
  uint32_t reserved;
  int64_t samples;

  int32_t (*gradient)(const espalier_host *host, int64_t first, int64_t count, const float *const *weights,
                      float *const *gradients, double *loss);
} espalier_region;

#define ESPALIER_ALLOCATOR "espalier.allocator/1"

typedef struct espalier_share {
  uint32_t struct_size;
  uint32_t reserved;
  const char *tensor;
  int64_t layer;
  int64_t elements;
  double measure;
  int64_t point_count;
  const double *sparsities;
  const double *losses;
} espalier_share;

typedef struct espalier_allocator {
  uint32_t struct_size;
  uint32_t statistics;
  uint32_t needs_sensitivity;
  uint32_t parameter_count;
  const espalier_parameter *const *parameters;

  int32_t (*measure)(const espalier_host *host, const espalier_matrix *const *matrices, int64_t count,
                     const double *parameters, double *measure, espalier_message *message);

  int32_t (*allocate)(const espalier_host *host, const espalier_share *const *shares, int64_t count, double total,
                      const double *parameters, double *sparsities, espalier_message *message);
} espalier_allocator;

#define ESPALIER_UNIT_SELECTOR "espalier.unit-selector/1"

#define ESPALIER_UNIT_HEAD 1
#define ESPALIER_UNIT_NEURON 2
#define ESPALIER_UNIT_CHANNEL 4
#define ESPALIER_UNIT_LAYER 8

typedef struct espalier_units {
  uint32_t struct_size;
  int32_t unit;
  int64_t layer;
  int64_t count;
  int64_t width;
  int64_t matrix_count;
  const espalier_matrix *const *matrices;
  const double *cosine_sums;
  int64_t tokens;
  const double *losses_without;
  double loss;
} espalier_units;

typedef struct espalier_unit_selector {
  uint32_t struct_size;
  uint32_t statistics;
  uint32_t units;
  uint32_t parameter_count;
  const espalier_parameter *const *parameters;
  uint32_t needs_losses;
  int32_t default_group;

  int32_t (*score)(const espalier_host *host, const espalier_units *units, const double *parameters, double *scores,
                   espalier_message *message);
} espalier_unit_selector;

#define ESPALIER_LINEAR_ALGEBRA "espalier.linear-algebra/1"

typedef struct espalier_linear_algebra {
  uint32_t struct_size;
  uint32_t reserved;

  int32_t (*product_f32)(const espalier_host *host, int32_t transpose_a, int32_t transpose_b, int64_t m, int64_t n,
                         int64_t k, float alpha, const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
                         float *c, int64_t ldc);
  int32_t (*product_f64)(const espalier_host *host, int32_t transpose_a, int32_t transpose_b, int64_t m, int64_t n,
                         int64_t k, double alpha, const double *a, int64_t lda, const double *b, int64_t ldb,
                         double beta, double *c, int64_t ldc);

  int32_t (*cholesky_f32)(const espalier_host *host, int64_t n, float *a, int64_t lda, int64_t *pivot);
  int32_t (*cholesky_f64)(const espalier_host *host, int64_t n, double *a, int64_t lda, int64_t *pivot);

  int32_t (*cholesky_solve_f32)(const espalier_host *host, int64_t n, const float *l, int64_t lda, int64_t count,
                                float *b, int64_t ldb);
  int32_t (*cholesky_solve_f64)(const espalier_host *host, int64_t n, const double *l, int64_t lda, int64_t count,
                                double *b, int64_t ldb);

  int32_t (*cholesky_inverse_f64)(const espalier_host *host, int64_t n, double *l, int64_t lda);

  int32_t (*eigen_f32)(const espalier_host *host, int64_t n, float *a, int64_t lda, float *values);
  int32_t (*eigen_f64)(const espalier_host *host, int64_t n, double *a, int64_t lda, double *values);
} espalier_linear_algebra;

#if defined(__cplusplus)
#define ESPALIER_ASSERT(condition) static_assert(condition, #condition)
#else
#define ESPALIER_ASSERT(condition) _Static_assert(condition, #condition)
#endif
#define ESPALIER_AT(name, field, place) ESPALIER_ASSERT(offsetof(espalier_##name, field) == place)

ESPALIER_ASSERT(sizeof(void *) == 8 && sizeof(size_t) == 8);
ESPALIER_ASSERT(sizeof(float) == 4 && sizeof(double) == 8);

ESPALIER_AT(message, text, 8); ESPALIER_AT(message, capacity, 16);
ESPALIER_ASSERT(sizeof(espalier_message) == 24);

ESPALIER_AT(host, abi_major, 4); ESPALIER_AT(host, abi_minor, 8); ESPALIER_AT(host, context, 16);
ESPALIER_AT(host, get_extension, 24); ESPALIER_AT(host, log, 32); ESPALIER_AT(host, progress, 40);
ESPALIER_AT(host, cancelled, 48); ESPALIER_AT(host, parallel_for, 56); ESPALIER_AT(host, diagnose, 64);
ESPALIER_ASSERT(sizeof(espalier_host) == 72);

ESPALIER_AT(plugin_descriptor, struct_size, 0); ESPALIER_AT(plugin_descriptor, abi_major, 4);
ESPALIER_AT(plugin_descriptor, abi_minor, 8); ESPALIER_AT(plugin_descriptor, id, 16);
ESPALIER_AT(plugin_descriptor, version, 24); ESPALIER_AT(plugin_descriptor, summary, 32);
ESPALIER_AT(plugin_descriptor, vendor, 40); ESPALIER_AT(plugin_descriptor, licence, 48);
ESPALIER_AT(plugin_descriptor, url, 56); ESPALIER_AT(plugin_descriptor, get_extension, 64);
ESPALIER_ASSERT(sizeof(espalier_plugin_descriptor) == 72);

ESPALIER_AT(parameter, type, 4); ESPALIER_AT(parameter, name, 8); ESPALIER_AT(parameter, summary, 16);
ESPALIER_AT(parameter, default_value, 24); ESPALIER_AT(parameter, minimum, 32); ESPALIER_AT(parameter, maximum, 40);
ESPALIER_AT(parameter, choice_count, 48); ESPALIER_AT(parameter, choices, 56);
ESPALIER_ASSERT(sizeof(espalier_parameter) == 64);

ESPALIER_AT(moments, sequences, 8); ESPALIER_AT(moments, tokens, 16); ESPALIER_AT(moments, count, 24);
ESPALIER_AT(moments, sum, 32); ESPALIER_AT(moments, sum_of_squares, 40); ESPALIER_AT(moments, sum_of_magnitudes, 48);
ESPALIER_AT(moments, sum_of_squared_means, 56);
ESPALIER_ASSERT(sizeof(espalier_moments) == 64);

ESPALIER_AT(gram, sequences, 8); ESPALIER_AT(gram, tokens, 16); ESPALIER_AT(gram, count, 24);
ESPALIER_AT(gram, products, 32); ESPALIER_AT(gram, cross, 40);
ESPALIER_ASSERT(sizeof(espalier_gram) == 48);

ESPALIER_AT(gradients, samples, 8); ESPALIER_AT(gradients, steps, 16); ESPALIER_AT(gradients, sum, 24);
ESPALIER_AT(gradients, sum_of_squares, 32); ESPALIER_AT(gradients, movement, 40);
ESPALIER_ASSERT(sizeof(espalier_gradients) == 48);

ESPALIER_AT(term, name, 8); ESPALIER_AT(term, scores, 16);
ESPALIER_ASSERT(sizeof(espalier_term) == 24);

ESPALIER_AT(matrix, tensor, 8); ESPALIER_AT(matrix, layer, 16); ESPALIER_AT(matrix, rows, 24);
ESPALIER_AT(matrix, columns, 32); ESPALIER_AT(matrix, weights, 40); ESPALIER_AT(matrix, moments, 48);
ESPALIER_AT(matrix, gram, 56); ESPALIER_AT(matrix, gradients, 64); ESPALIER_AT(matrix, regional_gradients, 72);
ESPALIER_AT(matrix, terms, 80); ESPALIER_AT(matrix, term_count, 88);
ESPALIER_ASSERT(sizeof(espalier_matrix) == 96);

ESPALIER_AT(selector, statistics, 4); ESPALIER_AT(selector, default_group, 8);
ESPALIER_AT(selector, parameter_count, 12); ESPALIER_AT(selector, parameters, 16); ESPALIER_AT(selector, score, 24);
ESPALIER_AT(selector, statistics_for, 32); ESPALIER_AT(selector, term_count, 40); ESPALIER_AT(selector, terms, 48);
ESPALIER_AT(selector, compensator, 56);
ESPALIER_ASSERT(sizeof(espalier_selector) == 64);

ESPALIER_AT(budget, sparsity, 8); ESPALIER_AT(budget, pattern_prune, 16); ESPALIER_AT(budget, pattern_size, 24);
ESPALIER_AT(budget, round, 32); ESPALIER_AT(budget, rounds_left, 36);
ESPALIER_ASSERT(sizeof(espalier_budget) == 40);

ESPALIER_AT(problem, matrix, 8); ESPALIER_AT(problem, budget, 16); ESPALIER_AT(problem, kept, 24);
ESPALIER_AT(problem, weights, 32);
ESPALIER_ASSERT(sizeof(espalier_problem) == 40);

ESPALIER_AT(solver, parameters, 16); ESPALIER_AT(solver, solve, 24);
ESPALIER_ASSERT(sizeof(espalier_solver) == 32);

ESPALIER_AT(compensator, parameters, 16); ESPALIER_AT(compensator, compensate, 24);
ESPALIER_ASSERT(sizeof(espalier_compensator) == 32);

ESPALIER_AT(refiner, parameters, 16); ESPALIER_AT(refiner, refine, 24);
ESPALIER_ASSERT(sizeof(espalier_refiner) == 32);

ESPALIER_AT(block_compensator, parameters, 8); ESPALIER_AT(block_compensator, fit, 16);
ESPALIER_ASSERT(sizeof(espalier_block_compensator) == 24);

ESPALIER_AT(region, samples, 8); ESPALIER_AT(region, gradient, 16);
ESPALIER_ASSERT(sizeof(espalier_region) == 24);

ESPALIER_AT(share, tensor, 8); ESPALIER_AT(share, layer, 16); ESPALIER_AT(share, elements, 24);
ESPALIER_AT(share, measure, 32); ESPALIER_AT(share, point_count, 40); ESPALIER_AT(share, losses, 56);
ESPALIER_ASSERT(sizeof(espalier_share) == 64);

ESPALIER_AT(allocator, parameters, 16); ESPALIER_AT(allocator, measure, 24); ESPALIER_AT(allocator, allocate, 32);
ESPALIER_ASSERT(sizeof(espalier_allocator) == 40);

ESPALIER_AT(units, layer, 8); ESPALIER_AT(units, count, 16); ESPALIER_AT(units, width, 24);
ESPALIER_AT(units, matrix_count, 32); ESPALIER_AT(units, matrices, 40); ESPALIER_AT(units, cosine_sums, 48);
ESPALIER_AT(units, tokens, 56); ESPALIER_AT(units, losses_without, 64); ESPALIER_AT(units, loss, 72);
ESPALIER_ASSERT(sizeof(espalier_units) == 80);

ESPALIER_AT(unit_selector, parameters, 16); ESPALIER_AT(unit_selector, needs_losses, 24);
ESPALIER_AT(unit_selector, default_group, 28); ESPALIER_AT(unit_selector, score, 32);
ESPALIER_ASSERT(sizeof(espalier_unit_selector) == 40);

ESPALIER_AT(linear_algebra, product_f32, 8); ESPALIER_AT(linear_algebra, product_f64, 16);
ESPALIER_AT(linear_algebra, cholesky_f32, 24); ESPALIER_AT(linear_algebra, cholesky_f64, 32);
ESPALIER_AT(linear_algebra, cholesky_solve_f32, 40); ESPALIER_AT(linear_algebra, cholesky_solve_f64, 48);
ESPALIER_AT(linear_algebra, cholesky_inverse_f64, 56); ESPALIER_AT(linear_algebra, eigen_f32, 64);
ESPALIER_AT(linear_algebra, eigen_f64, 72);
ESPALIER_ASSERT(sizeof(espalier_linear_algebra) == 80);

#undef ESPALIER_AT
#undef ESPALIER_ASSERT

#ifdef __cplusplus
}
#endif

#endif
