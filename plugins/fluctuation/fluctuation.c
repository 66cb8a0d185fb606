// fluctuation: units whose output hardly changes can become a bias (An, Zhao, Yu, Tang and Wang 2024, Fluctuation-based
// Adaptive Structured Pruning, FLAP, arXiv 2312.11983).
//
//   f_j = var(x_j) * ||W_:j||^2       weighted input feature variance of the attention's output map, or of the
//                                     feed-forward network's last; for heads squared once more
//   z_j = (f_j - mean f) / std f      over the columns of the matrix, with n - 1
//   S_u = mean of z_j over the columns of unit u
//
// so that scores of layers, heads and neurons compare: the default group is global. The variance is that over all
// tokens; the published code's online update is another number (README.md). In double throughout.

#include <math.h>

#include "columns.h"
#include "declare.h"
#include "units.h"

// fluctuations[j] becomes f_j, from ||W_:j||^2. Fails with ESPALIER_INVALID_ARGUMENT if one is not finite.
static int32_t weigh(const espalier_units *units, double *fluctuations, espalier_message *message) {
  const espalier_matrix *matrix = units->matrices[0];
  for (int64_t j = 0; j < matrix->columns; j++) {
    const double fluctuation = input_variance(matrix->moments, j) * fluctuations[j];
    fluctuations[j] = units->unit == ESPALIER_UNIT_HEAD ? fluctuation * fluctuation : fluctuation;
    if (isfinite(fluctuations[j])) continue;
    return refuse(message,
                  "input %lld of %s has the sum %g and the sum of squares %g, from which comes no finite fluctuation; "
                  "check the dataset",
                  (long long)j, matrix->tensor, matrix->moments->sum[j], matrix->moments->sum_of_squares[j]);
  }
  return ESPALIER_OK;
}

// Mean of the columns of each unit, standardised over all columns.
static int32_t standardise(const espalier_host *host, const espalier_units *units, const double *fluctuations,
                           double *scores, espalier_message *message) {
  const int64_t columns = units->matrices[0]->columns;
  double sum = 0, squares = 0;
  for (int64_t j = 0; j < columns; j++) sum += fluctuations[j];
  const double mean = sum / (double)columns;
  for (int64_t j = 0; j < columns; j++) squares += (fluctuations[j] - mean) * (fluctuations[j] - mean);
  const double deviation = columns > 1 ? sqrt(squares / (double)(columns - 1)) : 0;
  if (deviation == 0) {
    host->diagnose(host, ESPALIER_LOG_WARNING, "noFluctuation", units->matrices[0]->tensor,
                   "all inputs fluctuate alike, so there is nothing to standardise by; its units score 0, the mean");
  }
  for (int64_t u = 0; u < units->count; u++) {
    double unit = 0;
    for (int64_t j = u * units->width; j < (u + 1) * units->width; j++) unit += fluctuations[j] - mean;
    const double score = deviation == 0 ? 0 : unit / deviation / (double)units->width;
    const int32_t status = set_unit_score(units, u, score, "the checkpoint and the dataset", scores, message);
    if (status != ESPALIER_OK) return status;
  }
  return ESPALIER_OK;
}

static int32_t score(const espalier_host *host, const espalier_units *units, const double *parameters,
                     double *scores, espalier_message *message) {
  (void)parameters;
  int32_t status = check_units(units, ESPALIER_UNIT_HEAD | ESPALIER_UNIT_NEURON, "heads and neurons", message);
  if (status == ESPALIER_OK) status = check_unit_matrices(units, 1, message);
  if (status != ESPALIER_OK) return status;
  double *fluctuations;
  status = make_column_sums(host, units->matrices[0], 1, &fluctuations, message);
  if (status == ESPALIER_OK) status = weigh(units, fluctuations, message);
  if (status == ESPALIER_OK) status = standardise(host, units, fluctuations, scores, message);
  free(fluctuations);
  return status;
}

UNIT_SELECTOR_PLUGIN(
  "fluctuation", "FLAP: fluctuation of heads and neurons, var(x) * ||W||^2, standardised by layer (An et al. 2024)",
  "https://arxiv.org/abs/2312.11983",
  .statistics = ESPALIER_STATISTICS_MOMENTS, .units = ESPALIER_UNIT_HEAD | ESPALIER_UNIT_NEURON,
  .default_group = ESPALIER_GROUP_GLOBAL, .score = score);
