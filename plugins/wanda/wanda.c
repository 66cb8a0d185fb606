// wanda: pruning by weights and activations (Sun et al. 2023, arXiv 2306.11695, equation 1).
//
//   S_ij = |W_ij| * n_j^e      n_j = ||X_j||_2 = sqrt(s_j)      e = normExponent, 1 as published
//
// where s_j is the mean over calibration sequences of the sum over a sequence's tokens of x_j^2: what the paper's own
// code accumulates. (Any positive factor common to all j leaves the order within a group as it is, so the mean over
// tokens would give the same masks.) Scores compete within each output row, the default group. e = 0 is magnitude.
//
// Rounding follows the paper's code, which works in fp32 from s_j on: s_j is rounded to fp32, then its root, then the
// product. One rounding at the end would be more exact, but near-ties would then fall the other way now and then, and
// masks would differ from published ones for nothing. The sums themselves arrive in double. For e other than 1 the
// power is taken in double and rounded once.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "espalier_plugin.h"
#include "moments.h"

struct rows_job {
  const float *weights;  // [rows, columns]
  const float *factors;  // [columns] n_j^e
  float *scores;         // [rows, columns]
  int64_t columns;
};

// scores[row, :] = |weights[row, :]| * factors
static int32_t score_row(void *context, int64_t row) {
  const struct rows_job *job = context;
  const float *restrict weights = job->weights + row * job->columns;
  const float *restrict factors = job->factors;
  float *restrict scores = job->scores + row * job->columns;
  for (int64_t j = 0; j < job->columns; j++) scores[j] = fabsf(weights[j]) * factors[j];
  return ESPALIER_OK;
}

// Rows are independent; parallel_for polls for cancellation between them. parameters[0] is normExponent.
static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                     float *scores, espalier_message *message) {
  int32_t status;
  float *factors = make_norm_powers(matrix, parameters[0], "check the dataset, or take a smaller normExponent",
                                    &status, message);
  if (factors == NULL) return status;
  struct rows_job job = {
    .weights = matrix->weights, .factors = factors, .scores = scores, .columns = matrix->columns};
  status = host->parallel_for(host, matrix->rows, score_row, &job);
  if (status != ESPALIER_OK && status != ESPALIER_CANCELLED) {
    espalier_report(message, status, "the host could not run a parallel loop over the rows");
  }
  free(factors);
  return status;
}

static const espalier_parameter norm_exponent = {
  .struct_size = sizeof(espalier_parameter),
  .type = ESPALIER_NUMBER,
  .name = "normExponent",
  .summary = "Exponent of the activation norm: 1 as published, 0 ignores activations",
  .default_value = 1,
  .minimum = 0,
  .maximum = 4,
};

static const espalier_parameter *const parameter_list[] = {&norm_exponent};

static const espalier_selector selector = {
  .struct_size = sizeof(espalier_selector),
  .statistics = ESPALIER_STATISTICS_MOMENTS,
  .default_group = ESPALIER_GROUP_ROW,
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
  .id = "wanda",
  .version = "1.0.0",
  .summary = "Wanda: magnitude of the weight times the norm of its input, |W| * ||X|| (Sun et al. 2023)",
  .vendor = "Espalier",
  .licence = "Apache-2.0",
  .url = "https://arxiv.org/abs/2306.11695",
  .get_extension = get_extension,
};
