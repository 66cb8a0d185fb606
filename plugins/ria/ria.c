// ria: relative importance and activations (Zhang et al. 2024, Plug-and-Play: An Efficient Post-training Pruning Method
// for Large Language Models, ICLR 2024).
//
//   S_ij = (|W_ij| / sum_k |W_kj| + |W_ij| / sum_k |W_ik|) * ||X_j||_2^e      e = exponent, 0.5 as published
//
// The first sum is over the column of the weight, the second over its row. ||X_j||_2 is Wanda's, rounded as there. Sums
// of magnitudes, quotients and the product are in double, rounded once; the published code works in the precision of
// the weights. A column or row of zeros has relative importance 0 here, and NaN there.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "espalier_plugin.h"
#include "columns.h"
#include "moments.h"
#include "rows.h"

struct ria_job {
  const espalier_matrix *matrix;
  const double *column_sums;  // [columns] sums of magnitudes
  const float *powers;        // [columns] ||X_j||_2^e
};

static double share(double part, double sum) { return sum == 0 ? 0 : part / sum; }

static int32_t score_row(const void *context, int64_t row, float *scores) {
  const struct ria_job *job = context;
  const int64_t columns = job->matrix->columns;
  const float *weights = job->matrix->weights + row * columns;
  double row_sum = 0;
  for (int64_t j = 0; j < columns; j++) row_sum += fabs((double)weights[j]);
  for (int64_t j = 0; j < columns; j++) {
    const double magnitude = fabs((double)weights[j]);
    const double relative = share(magnitude, job->column_sums[j]) + share(magnitude, row_sum);
    scores[j] = (float)(relative * (double)job->powers[j]);
  }
  return ESPALIER_OK;
}

// parameters[0] is the exponent.
static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                     float *scores, espalier_message *message) {
  int32_t status;
  float *powers =
    make_norm_powers(matrix, parameters[0], "check the dataset, or take a smaller exponent", &status, message);
  if (powers == NULL) return status;
  double *column_sums = calloc((size_t)matrix->columns, sizeof *column_sums);
  if (column_sums == NULL) {
    free(powers);
    return espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for one number per input of the matrix");
  }
  status = sum_columns(host, matrix, 0, column_sums, message);
  if (status == ESPALIER_OK) {
    const struct ria_job job = {.matrix = matrix, .column_sums = column_sums, .powers = powers};
    status = score_rows(host, matrix, score_row, &job, scores, message);
  }
  free(column_sums);
  free(powers);
  return status;
}

static const espalier_parameter exponent = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_NUMBER,
  .name = "exponent",
  .summary = "Exponent of the activation norm: 0.5 as published, 0 is relative importance alone",
  .default_value = 0.5,
  .minimum = 0,
  .maximum = 4,
};

static const espalier_parameter *const parameter_list[] = {&exponent};

static const espalier_selector selector = {
  .struct_size = sizeof(espalier_selector),
  .statistics = ESPALIER_STATISTICS_MOMENTS,
  .default_group = ESPALIER_GROUP_MATRIX,
  .parameter_count = sizeof parameter_list / sizeof parameter_list[0],
  .parameters = parameter_list,
  .score = score,
};

static const void *get_extension(const char *id) {
  return strcmp(id, ESPALIER_SELECTOR) == 0 ? &selector : NULL;
}

const espalier_plugin_descriptor espalier_plugin = {
  .struct_size = sizeof(espalier_plugin_descriptor),
  .abi_major = ESPALIER_ABI_MAJOR,
  .abi_minor = ESPALIER_ABI_MINOR,
  .id = "ria",
  .version = "1.0.0",
  .summary = "RIA: magnitude relative to row and column, times the root of the norm of the input (Zhang et al. 2024)",
  .vendor = "Espalier",
  .licence = "Apache-2.0",
  .url = "https://openreview.net/forum?id=Tr0lPx9woF",
  .get_extension = get_extension,
};
