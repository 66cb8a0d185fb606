// info-nce: which teacher's text is it? (van den Oord et al. 2018, arXiv 1807.03748, equation 4; for distillation Sun
// et al. 2020, CoDIR, arXiv 2009.14167)
//
//   s_i, t_i: mean of the positions of sequence i that count, of length 1, of student and teacher
//   L = sum over sequences i of -log softmax over j of (<s_i, t_j> / tau) at i
//   dL/ds_i = 1/tau sum over j of (softmax_j - [i = j]) t_j, then through length and mean
//
// The other sequences of the call are the wrong answers. In double.

#include "declare.h"
#include "pooling.h"

enum { TAU };

// The loss of vector k, whose slope it writes; `scores` has room for all.
static double tell_apart(const struct pooled *pooled, int64_t k, double tau, double *scores) {
  const int64_t n = pooled->width, B = pooled->count;
  double largest = -INFINITY, sum = 0;
  for (int64_t j = 0; j < B; j++) {
    scores[j] = inner(pooled->student + k * n, pooled->teacher + j * n, n) / tau;
    largest = fmax(largest, scores[j]);
  }
  const double right = scores[k];
  for (int64_t j = 0; j < B; j++) sum += scores[j] = exp(scores[j] - largest);
  double *slope = pooled->slopes + k * n;
  for (int64_t j = 0; j < B; j++) {
    const double weight = (scores[j] / sum - (j == k ? 1 : 0)) / tau;
    for (int64_t i = 0; i < n; i++) slope[i] += weight * pooled->teacher[j * n + i];
  }
  return largest + log(sum) - right;
}

static int32_t compare(const espalier_host *host, const espalier_features *features, const double *parameters,
                       double *loss, float *gradient, espalier_message *message) {
  int32_t status = check_features(features, 1, message);
  if (status != ESPALIER_OK) return status;
  struct pooled pooled;
  status = make_pooled(host, features, &pooled, message);
  if (status != ESPALIER_OK) return status;
  double *scores = malloc(sizeof *scores * (size_t)(pooled.count + 1));
  if (scores == NULL) {
    free_pooled(&pooled);
    return report(message, ESPALIER_OUT_OF_MEMORY, "no memory for %lld scores", (long long)pooled.count);
  }
  *loss = 0;
  for (int64_t k = 0; k < pooled.count && status == ESPALIER_OK; k++) {
    *loss += tell_apart(&pooled, k, parameters[TAU], scores);
    if (host->cancelled(host)) status = ESPALIER_CANCELLED;
  }
  spread(features, &pooled, gradient);
  if (pooled.count == 1) {
    diagnose(host, ESPALIER_LOG_INFO, "oneSequence", NULL,
             "a batch of one sequence has nothing to tell apart and teaches nothing; take larger batches, or "
             "contrastive-memory");
  }
  free(scores);
  free_pooled(&pooled);
  return status;
}

static const espalier_parameter *const parameter_list[] = {
  [TAU] = NUMBER("tau", 0.07, 0.001, 100, "Temperature of the similarities"),
};

FEATURE_OBJECTIVE_PLUGIN(
  "info-nce", "Contrastive: the student's sequence against the teacher's sequences of the batch (InfoNCE)",
  "https://arxiv.org/abs/1807.03748",
  .per_sequence = 1, .same_width = 1, PARAMETERS(parameter_list), .compare = compare);
