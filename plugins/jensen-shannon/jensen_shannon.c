// jensen-shannon: between forward and reverse KL (Agarwal et al. 2023, GKD, arXiv 2306.13649, equation 1).
//
//   m = b p + (1 - b) q        L = b KL(p || m) + (1 - b) KL(q || m)
//   dL/du_i = (1 - b) q_i (log(q_i / m_i) - KL(q || m))
//
// p is the teacher, q the student, b the parameter beta. b = 0 is KL(p || q) and b = 1 is KL(q || p), as in TRL and
// Liger: not limits, since L itself goes to 0 at both ends. With `scaled` the loss is L / (b (1 - b)), and they are its
// limits: L / b -> KL(p || q) for b -> 0, L / (1 - b) -> KL(q || p) for b -> 1.
//
// Of log(q/m) and log(p/m) the one whose part of m is at least half is taken as a logarithm near 1 and keeps its
// digits where p and q are alike; the other is that and log p - log q. So L / b keeps its digits too.

#include "declare.h"
#include "divergences.h"

enum { BETA, SCALED };

// Terms of one run, and h = q log(q/m), where q is the larger part: l = log(m/q) = log(1 - b + b p/q).
static void run_by_student(const espalier_prediction *prediction, float b, int64_t start, int64_t n,
                           float *restrict of_p, float *restrict h) {
  const float *restrict q = prediction->student + start, *restrict log_q = prediction->student_log + start;
  const float *restrict p = prediction->teacher + start, *restrict log_p = prediction->teacher_log + start;
  const float without_q = -logf(b);  // log(p/m) for q = 0
  for (int64_t i = 0; i < n; i++) {
    const float qi = q[i], pi = p[i], log_ratio = log_p[i] - log_q[i];
    const int there = qi > NO_PROBABILITY;
    const float divisor = there ? qi : 1, numerator = there ? pi : 1;
    const float l = log_of_mixture(1 - b + b * (numerator / divisor), b * ((numerator - divisor) / divisor));
    const float of_student = -qi * l, of_teacher = pi * (there ? log_ratio - l : without_q);
    h[i] = there ? of_student : 0;
    of_p[i] = pi > 0 ? of_teacher : 0;
  }
}

// The same where p is the larger part: l = log(m/p) = log(b + (1 - b) q/p).
static void run_by_teacher(const espalier_prediction *prediction, float b, int64_t start, int64_t n,
                           float *restrict of_p, float *restrict h) {
  const float *restrict q = prediction->student + start, *restrict log_q = prediction->student_log + start;
  const float *restrict p = prediction->teacher + start, *restrict log_p = prediction->teacher_log + start;
  const float a = 1 - b;
  const float without_p = -logf(a);  // log(q/m) for p = 0
  for (int64_t i = 0; i < n; i++) {
    const float qi = q[i], pi = p[i], log_ratio = log_q[i] - log_p[i];
    const int there = pi > NO_PROBABILITY;
    const float divisor = there ? pi : 1, numerator = there ? qi : 1;
    const float l = log_of_mixture(b + a * (numerator / divisor), a * ((numerator - divisor) / divisor));
    const float of_teacher = -pi * l, of_student = qi * (there ? log_ratio - l : without_p);
    of_p[i] = there ? of_teacher : 0;
    h[i] = qi > 0 ? of_student : 0;
  }
}

static int32_t evaluate(const espalier_host *host, const espalier_prediction *prediction, const double *parameters,
                        double *loss, float *restrict gradient, espalier_message *message) {
  (void)host;
  const int32_t status = check_prediction(prediction, 1, message);
  if (status != ESPALIER_OK) return status;
  const double beta = parameters[BETA];
  if (beta == 0) return forward_divergence(prediction, loss, gradient, message);
  if (beta == 1) return reverse_divergence(prediction, loss, gradient, message);

  const int64_t V = prediction->vocabulary;
  double of_teacher = 0, of_student = 0;  // KL(p || m), KL(q || m)
  for (int64_t start = 0; start < V; start += RUN) {
    const int64_t n = run_length(start, V);
    float of_p[RUN];
    if (beta <= 0.5) {
      run_by_student(prediction, (float)beta, start, n, of_p, gradient + start);
    } else {
      run_by_teacher(prediction, (float)beta, start, n, of_p, gradient + start);
    }
    of_teacher += sum_run(of_p, n);
    of_student += sum_run(gradient + start, n);
  }
  const double scale = parameters[SCALED] != 0 ? 1 / (beta * (1 - beta)) : 1;
  *loss = scale * (beta * of_teacher + (1 - beta) * of_student);
  if (!isfinite(*loss)) return refuse(message, "the loss is %g; the logits are not finite", *loss);
  const float *restrict q = prediction->student;
  const float factor = (float)(scale * (1 - beta)), mean = (float)of_student;
  for (int64_t i = 0; i < V; i++) gradient[i] = factor * (gradient[i] - q[i] * mean);
  return ESPALIER_OK;
}

static const espalier_parameter *const parameter_list[] = {
  [BETA] = NUMBER("beta", 0.5, 0, 1, "The teacher's part of the mixture: 0 is forward KL, 1 reverse KL"),
  [SCALED] = BOOLEAN("scaled", 0, "Divide by beta (1 - beta), so that both ends are limits"),
};

OBJECTIVE_PLUGIN(
  "jensen-shannon", "Generalised Jensen-Shannon divergence of teacher and student (GKD, Agarwal et al. 2023)",
  "https://arxiv.org/abs/2306.13649",
  .needs_teacher = 1, PARAMETERS(parameter_list), .evaluate = evaluate);
