// cross-entropy: the loss of the data themselves, without a teacher.
//
//   L = -log q[target]        dL/du = q - onehot(target)
//
// Defined at temperature 1 only. Exact: the logarithm is the host's.

#include "declare.h"
#include "predictions.h"

static int32_t evaluate(const espalier_host *host, const espalier_prediction *prediction, const double *parameters,
                        double *loss, float *gradient, espalier_message *message) {
  (void)host, (void)parameters;
  const int32_t status = check_prediction(prediction, 0, message);
  if (status != ESPALIER_OK) return status;
  const int64_t target = prediction->target;
  *loss = -(double)prediction->student_log[target];
  if (!isfinite(*loss)) {
    return refuse(message, "the student gives token %lld the probability %g, so that its loss is %g",
                  (long long)target, (double)prediction->student[target], *loss);
  }
  memcpy(gradient, prediction->student, sizeof *gradient * (size_t)prediction->vocabulary);
  gradient[target] -= 1;
  return ESPALIER_OK;
}

OBJECTIVE_PLUGIN(
  "cross-entropy", "Cross-entropy of the next token of the data: -log q[target]", NULL,
  .needs_teacher = 0, .fixed_temperature = 1, .evaluate = evaluate);
