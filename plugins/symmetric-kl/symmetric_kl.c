// symmetric-kl: forward and reverse KL, weighted (Jeffreys' divergence for equal weights; torchtune's SymmetricKLLoss).
//
//   L = r KL(p || q) + (1 - r) KL(q || p)
//   dL/du_i = r (q_i - p_i) + (1 - r) q_i (log q_i - log p_i - KL(q || p))
//
// p is the teacher, q the student, r the parameter ratio. 0 log 0 = 0. Terms are fp32, their sums double.

#include "declare.h"
#include "divergences.h"

enum { RATIO };

static int32_t evaluate(const espalier_host *host, const espalier_prediction *prediction, const double *parameters,
                        double *loss, float *restrict gradient, espalier_message *message) {
  (void)host;
  int32_t status = check_prediction(prediction, 1, message);
  if (status != ESPALIER_OK) return status;
  const double ratio = parameters[RATIO];
  if (ratio == 1) return forward_divergence(prediction, loss, gradient, message);
  if (ratio == 0) return reverse_divergence(prediction, loss, gradient, message);

  const int64_t V = prediction->vocabulary;
  const float *restrict q = prediction->student, *restrict log_q = prediction->student_log;
  const float *restrict p = prediction->teacher, *restrict log_p = prediction->teacher_log;
  double forward = 0, reverse = 0;
  for (int64_t start = 0; start < V; start += RUN) {
    const int64_t n = run_length(start, V);
    float terms[RUN];
    for (int64_t j = 0; j < n; j++) {
      const int64_t i = start + j;
      const float d = log_q[i] - log_p[i];
      terms[j] = p[i] > 0 ? -p[i] * d : 0;
      gradient[i] = q[i] > 0 ? q[i] * d : 0;
    }
    forward += sum_run(terms, n);
    reverse += sum_run(gradient + start, n);
  }
  status = finish_loss(forward, loss, p, log_q, V, "teacher and student", message);
  if (status == ESPALIER_OK) status = finish_loss(reverse, loss, q, log_p, V, "student and teacher", message);
  if (status != ESPALIER_OK) return status;
  *loss = ratio * forward + (1 - ratio) * reverse;
  const float r = (float)ratio, rest = (float)(1 - ratio), mean = (float)reverse;
  for (int64_t i = 0; i < V; i++) gradient[i] = r * (q[i] - p[i]) + rest * (gradient[i] - q[i] * mean);
  return ESPALIER_OK;
}

static const espalier_parameter *const parameter_list[] = {
  [RATIO] = NUMBER("ratio", 0.5, 0, 1, "The weight of forward KL; reverse KL has the rest"),
};

OBJECTIVE_PLUGIN(
  "symmetric-kl", "Forward and reverse KL divergence of teacher and student, weighted", NULL,
  .needs_teacher = 1, PARAMETERS(parameter_list), .evaluate = evaluate);
