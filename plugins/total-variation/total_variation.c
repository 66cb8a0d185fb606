// total-variation: half the sum of what the probabilities differ by (Wen et al. 2023, f-distill, arXiv 2307.15190).
//
//   L = 1/2 sum of |p - q|        h_i = 1/2 sign(q_i - p_i) q_i        dL/du_i = h_i - q_i sum of h
//
// p is the teacher, q the student; where they are equal the sign is 0. Terms are fp32, their sums double.

#include "declare.h"
#include "predictions.h"

static int32_t evaluate(const espalier_host *host, const espalier_prediction *prediction, const double *parameters,
                        double *loss, float *restrict gradient, espalier_message *message) {
  (void)host, (void)parameters;
  const int32_t status = check_prediction(prediction, 1, message);
  if (status != ESPALIER_OK) return status;
  const int64_t V = prediction->vocabulary;
  const float *restrict q = prediction->student, *restrict p = prediction->teacher;
  double distance = 0, sum = 0;
  for (int64_t start = 0; start < V; start += RUN) {
    const int64_t n = run_length(start, V);
    float terms[RUN];
    for (int64_t j = 0; j < n; j++) {
      const int64_t i = start + j;
      const float difference = q[i] - p[i], half = 0.5f * q[i];
      const float below = difference < 0 ? -half : 0;
      terms[j] = 0.5f * fabsf(difference);
      gradient[i] = difference > 0 ? half : below;
    }
    distance += sum_run(terms, n);
    sum += sum_run(gradient + start, n);
  }
  *loss = distance;
  if (!isfinite(distance)) return refuse(message, "the loss is %g; the logits are not finite", distance);
  through_softmax(gradient, q, sum, V);
  return ESPALIER_OK;
}

OBJECTIVE_PLUGIN(
  "total-variation", "Total variation distance of teacher and student (f-distill, Wen et al. 2023)",
  "https://arxiv.org/abs/2307.15190",
  .needs_teacher = 1, .evaluate = evaluate);
