// hidden-cosine: the angle between hidden states (Muralidharan et al. 2024, Minitron, arXiv 2407.14679).
//
//   L = sum over positions that count of 1 - c,   c = <s, t> / (|s| |t|)
//   dL/ds = (c s / |s| - t / |t|) / |s|
//
// s is the student's state at a position, t the teacher's. Where either is 0 the loss is 1 and the gradient 0. Products
// and norms are in double.

#include <stdatomic.h>

#include "declare.h"
#include "feature_parts.h"

struct job {
  struct comparing comparing;
  _Atomic int64_t zeros;  // positions where a state is 0
};

static int32_t compare_row(void *context, int64_t row) {
  struct job *job = context;  // its first member is what compare_parts hands over
  const struct comparing *comparing = &job->comparing;
  const int64_t n = comparing->features->student_width;
  const float *s = comparing->features->student + row * n, *t = comparing->features->teacher + row * n;
  float *gradient = comparing->gradient + row * n;
  memset(gradient, 0, sizeof *gradient * (size_t)n);
  if (!comparing->features->counted[row]) return ESPALIER_OK;
  double st = 0, ss = 0, tt = 0;
  for (int64_t j = 0; j < n; j++) {
    st += (double)s[j] * (double)t[j];
    ss += (double)s[j] * (double)s[j];
    tt += (double)t[j] * (double)t[j];
  }
  if (ss == 0 || tt == 0) {
    comparing->losses[row] = 1;
    atomic_fetch_add(&job->zeros, 1);
    return ESPALIER_OK;
  }
  const double norms = sqrt(ss) * sqrt(tt), cosine = st / norms;
  comparing->losses[row] = 1 - cosine;
  for (int64_t j = 0; j < n; j++) gradient[j] = (float)(cosine * (double)s[j] / ss - (double)t[j] / norms);
  return ESPALIER_OK;
}

static int32_t compare(const espalier_host *host, const espalier_features *features, const double *parameters,
                       double *loss, float *gradient, espalier_message *message) {
  int32_t status = check_features(features, 1, message);
  if (status != ESPALIER_OK) return status;
  struct job job = {
    .comparing = {.host = host, .features = features, .parameters = parameters, .gradient = gradient}};
  atomic_init(&job.zeros, 0);
  status = compare_parts(&job.comparing, count_rows(features), compare_row, "positions", loss, message);
  const int64_t zeros = atomic_load(&job.zeros);
  if (status == ESPALIER_OK && zeros > 0) {
    diagnose(host, ESPALIER_LOG_WARNING, "zeroFeatures", NULL,
             "states are 0 at %lld positions, whose angle counts as a right one", (long long)zeros);
  }
  return status;
}

FEATURE_OBJECTIVE_PLUGIN(
  "hidden-cosine", "One minus the cosine of hidden states (Minitron, Muralidharan et al. 2024)",
  "https://arxiv.org/abs/2407.14679",
  .per_sequence = 0, .same_width = 1, .compare = compare);
