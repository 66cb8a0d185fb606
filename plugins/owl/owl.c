// owl: layers with more outlying scores lose less (Yin et al. 2024, arXiv 2310.05175).
//
//   D_l = 100 * share of the layer's Wanda scores |w_ij| ||x_j|| above M times their mean
//   sparsity_l = s - (delta_l - mean delta)      delta_l = 2 lambda (D_l - min D) / (max D - min D)
//
// The mean counts elements, so that the total holds for layers of any sizes; for equal ones it is the published mean.

#include <math.h>
#include <stdlib.h>

#include "declare.h"
#include "loops.h"
#include "norms.h"
#include "total.h"

enum { OUTLIER_FACTOR, LAMBDA };

struct score_job {
  const espalier_matrix *matrix;
  const float *norms;  // [columns]
  double threshold;    // counts scores above it; sums them if it is negative
  double *results;     // [rows]
};

// The sum of a row's scores, or how many are above the threshold.
static int32_t score_row(void *context, int64_t row) {
  const struct score_job *job = context;
  const float *weights = job->matrix->weights + row * job->matrix->columns;
  double sum = 0;
  for (int64_t j = 0; j < job->matrix->columns; j++) {
    const float score = fabsf(weights[j]) * job->norms[j];
    sum += job->threshold < 0 ? (double)score : (double)(score > job->threshold);
  }
  job->results[row] = sum;
  return ESPALIER_OK;
}

// Adds a matrix's sum or count of scores to `*sum`. Fails with ESPALIER_INVALID_ARGUMENT if that is not finite: no
// score is above a mean that is no number, and the layer would pass for one without outliers.
static int32_t add_scores(const espalier_host *host, const espalier_matrix *matrix, double threshold, double *sum,
                          espalier_message *message) {
  float *norms;
  int32_t status = make_norms(matrix, &norms, message);
  double *results = malloc((size_t)matrix->rows * sizeof *results);
  if (status == ESPALIER_OK && results == NULL) {
    status = espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for one number per row of the matrix");
  }
  if (status == ESPALIER_OK) {
    struct score_job job = {.matrix = matrix, .norms = norms, .threshold = threshold, .results = results};
    status = run_loop(host, matrix->rows, score_row, &job, "rows", message);
  }
  for (int64_t i = 0; i < matrix->rows && status == ESPALIER_OK; i++) {
    *sum += results[i];
    if (!isfinite(results[i])) {
      status = refuse(message, "the scores |W| * ||X|| in row %lld of %s add up to %g; check the checkpoint",
                      (long long)i, matrix->tensor, results[i]);
    }
  }
  free(norms);
  free(results);
  return status;
}

static int32_t measure(const espalier_host *host, const espalier_matrix *const *matrices, int64_t count,
                       const double *parameters, double *outliers, espalier_message *message) {
  double sum = 0, elements = 0, above = 0;
  for (int64_t i = 0; i < count; i++) {
    const int32_t status = add_scores(host, matrices[i], -1, &sum, message);
    if (status != ESPALIER_OK) return status;
    elements += (double)matrices[i]->rows * (double)matrices[i]->columns;
  }
  const double threshold = parameters[OUTLIER_FACTOR] * sum / elements;
  for (int64_t i = 0; i < count; i++) {
    const int32_t status = add_scores(host, matrices[i], threshold, &above, message);
    if (status != ESPALIER_OK) return status;
  }
  *outliers = 100 * above / elements;
  return ESPALIER_OK;
}

static int32_t allocate(const espalier_host *host, const espalier_share *const *shares, int64_t count, double total,
                        const double *parameters, double *sparsities, espalier_message *message) {
  const int32_t status = check_total(shares, count, total, message);
  if (status != ESPALIER_OK) return status;
  double least = INFINITY, greatest = -INFINITY;
  for (int64_t i = 0; i < count; i++) {
    if (!isfinite(shares[i]->measure)) {
      return refuse(message, "the outlier ratio of %s is %g; check the dataset", shares[i]->tensor,
                    shares[i]->measure);
    }
    least = fmin(least, shares[i]->measure);
    greatest = fmax(greatest, shares[i]->measure);
  }
  double mean = 0, elements = 0;
  for (int64_t i = 0; i < count; i++) {
    const double range = greatest - least;
    const double delta = range > 0 ? 2 * parameters[LAMBDA] * (shares[i]->measure - least) / range : 0;
    sparsities[i] = total - delta;
    mean += delta * (double)shares[i]->elements;
    elements += (double)shares[i]->elements;
  }
  for (int64_t i = 0; i < count; i++) sparsities[i] += mean / elements;
  total_reach(host, shares, count, total, sparsities);
  return ESPALIER_OK;
}

static const espalier_parameter *const parameter_list[] = {
  [OUTLIER_FACTOR] = NUMBER("outlierFactor", 5, 0, 1000,
                            "M: a score above this many times the layer's mean is an outlier"),
  [LAMBDA] = NUMBER("lambda", 0.08, 0, 0.5, "Half the distance between the greatest and the least sparsity of a layer"),
};

ALLOCATOR_PLUGIN(
  "owl", "OWL: layers with more outlying Wanda scores lose less (Yin et al. 2024)", "https://arxiv.org/abs/2310.05175",
  .statistics = ESPALIER_STATISTICS_MOMENTS, PARAMETERS(parameter_list), .measure = measure, .allocate = allocate);
