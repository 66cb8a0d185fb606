// skewed-forward-kl: the teacher against a mixture with the student (Ko et al. 2024, DistiLLM, arXiv 2402.03898).
//
//   m = a p + (1 - a) q        L = KL(p || m)
//   h_i = -(1 - a) p_i q_i / m_i        dL/du_i = h_i - q_i sum of h
//
// p is the teacher, q the student, a the parameter alpha; a = 0 is KL(p || q), a = 1 is 0. For a > 0 it is at most
// log(1/a). m/p = a + (1 - a) q/p. Terms are fp32, their sums double.

#include "declare.h"
#include "divergences.h"

enum { ALPHA };

static int32_t evaluate(const espalier_host *host, const espalier_prediction *prediction, const double *parameters,
                        double *loss, float *restrict gradient, espalier_message *message) {
  (void)host;
  const int32_t status = check_prediction(prediction, 1, message);
  if (status != ESPALIER_OK) return status;
  if (parameters[ALPHA] == 0) return forward_divergence(prediction, loss, gradient, message);

  const int64_t V = prediction->vocabulary;
  const float *restrict q = prediction->student, *restrict p = prediction->teacher;
  const float a = (float)parameters[ALPHA], rest = (float)(1 - parameters[ALPHA]);
  double divergence = 0, sum = 0;
  for (int64_t start = 0; start < V; start += RUN) {
    const int64_t n = run_length(start, V);
    float terms[RUN];
    for (int64_t j = 0; j < n; j++) {
      const float qi = q[start + j], pi = p[start + j];
      const int there = pi > NO_PROBABILITY;
      const float divisor = there ? pi : 1, numerator = there ? qi : 1;
      const float u = a + rest * (numerator / divisor);
      const float term = -pi * log_of_mixture(u, rest * ((numerator - divisor) / divisor)), h = -rest * qi / u;
      terms[j] = there ? term : 0;
      gradient[start + j] = there ? h : 0;
    }
    divergence += sum_run(terms, n);
    sum += sum_run(gradient + start, n);
  }
  *loss = divergence;
  if (!isfinite(divergence)) return refuse(message, "the loss is %g; the logits are not finite", divergence);
  through_softmax(gradient, q, sum, V);
  return ESPALIER_OK;
}

static const espalier_parameter *const parameter_list[] = {
  [ALPHA] = NUMBER("alpha", 0.1, 0, 1, "The teacher's part of the mixture: 0 is forward KL"),
};

OBJECTIVE_PLUGIN(
  "skewed-forward-kl", "Skewed forward KL: teacher against a mixture with the student (DistiLLM, Ko et al. 2024)",
  "https://arxiv.org/abs/2402.03898",
  .needs_teacher = 1, PARAMETERS(parameter_list), .evaluate = evaluate);
