// reverse-kl: the divergence of the teacher from the student (Gu et al. 2023, MiniLLM, arXiv 2306.08543).
//
//   L = KL(q || p) = sum of q (log q - log p)        dL/du_i = q_i (log q_i - log p_i - L)
//
// p is the teacher, q the student. 0 log 0 = 0. Terms are fp32, their sum is double.

#include "declare.h"
#include "divergences.h"

static int32_t evaluate(const espalier_host *host, const espalier_prediction *prediction, const double *parameters,
                        double *loss, float *gradient, espalier_message *message) {
  (void)host, (void)parameters;
  const int32_t status = check_prediction(prediction, 1, message);
  if (status != ESPALIER_OK) return status;
  return reverse_divergence(prediction, loss, gradient, message);
}

OBJECTIVE_PLUGIN(
  "reverse-kl", "Reverse KL divergence KL(student || teacher) (MiniLLM, Gu et al. 2023)",
  "https://arxiv.org/abs/2306.08543",
  .needs_teacher = 1, .evaluate = evaluate);
