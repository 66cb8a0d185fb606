// hidden-mse: the mean squared difference of hidden states (Romero et al. 2014, FitNets, arXiv 1412.6550; Jiao et al.
// 2019, TinyBERT, arXiv 1909.10351).
//
//   L = sum over positions that count of 1/W sum of (s_j - t_j)^2        dL/ds_j = 2 (s_j - t_j) / W
//
// s is the student's state at a position, t the teacher's, W the width. Sums are in double.

#include "declare.h"
#include "feature_parts.h"

static int32_t compare_row(void *context, int64_t row) {
  const struct comparing *comparing = context;
  const int64_t n = comparing->features->student_width;
  const float *s = comparing->features->student + row * n, *t = comparing->features->teacher + row * n;
  float *gradient = comparing->gradient + row * n;
  memset(gradient, 0, sizeof *gradient * (size_t)n);
  if (!comparing->features->counted[row]) return ESPALIER_OK;
  double sum = 0;
  for (int64_t j = 0; j < n; j++) {
    const double difference = (double)s[j] - (double)t[j];
    sum += difference * difference;
    gradient[j] = (float)(2 * difference / (double)n);
  }
  comparing->losses[row] = sum / (double)n;
  return ESPALIER_OK;
}

static int32_t compare(const espalier_host *host, const espalier_features *features, const double *parameters,
                       double *loss, float *gradient, espalier_message *message) {
  const int32_t status = check_features(features, 1, message);
  if (status != ESPALIER_OK) return status;
  struct comparing comparing = {.host = host, .features = features, .parameters = parameters, .gradient = gradient};
  return compare_parts(&comparing, count_rows(features), compare_row, "positions", loss, message);
}

FEATURE_OBJECTIVE_PLUGIN(
  "hidden-mse", "Mean squared difference of hidden states (FitNets, Romero et al. 2014)",
  "https://arxiv.org/abs/1412.6550",
  .per_sequence = 0, .same_width = 1, .compare = compare);
