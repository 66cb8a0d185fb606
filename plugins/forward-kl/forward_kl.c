// forward-kl: the divergence of the student from the teacher (Hinton, Vinyals and Dean 2015, arXiv 1503.02531).
//
//   L = KL(p || q) = sum of p (log p - log q)        dL/du = q - p
//
// p is the teacher, q the student. 0 log 0 = 0. Terms are fp32, their sum is double.

#include "declare.h"
#include "divergences.h"

static int32_t evaluate(const espalier_host *host, const espalier_prediction *prediction, const double *parameters,
                        double *loss, float *gradient, espalier_message *message) {
  (void)host, (void)parameters;
  const int32_t status = check_prediction(prediction, 1, message);
  if (status != ESPALIER_OK) return status;
  return forward_divergence(prediction, loss, gradient, message);
}

OBJECTIVE_PLUGIN(
  "forward-kl", "Forward KL divergence KL(teacher || student) (Hinton et al. 2015)",
  "https://arxiv.org/abs/1503.02531",
  .needs_teacher = 1, .evaluate = evaluate);
