// top-k-kl: forward KL on the k tokens that the teacher finds likeliest, in each of the four meanings that are in use.
//
// p is the teacher, q the student, K the teacher's top k, of equal ones those with lower ids. P and Q are the sums of p
// and q over K, p' = p / P and q' = q / Q.
//
//   meaning                L                                              dL/du on K    dL/du elsewhere
//   renormalised-both      sum on K of p' (log p' - log q')               q' - p'       0
//   tail-bucket            sum on K of p (log p - log q)                  q - p         q (1 - (1 - P) / (1 - Q))
//                            + (1 - P) (log (1 - P) - log (1 - Q))
//   teacher-renormalised   sum on K of p' (log p' - log q)                q - p'        q
//   raw                    sum on K of p (log p - log q)                  P q - p       P q
//
// For k >= V all four are KL(p || q). What is on K is in double; 1 - P and 1 - Q are sums over the rest.

#include <stdlib.h>

#include "declare.h"
#include "divergences.h"
#include "top.h"

enum { K, MEANING };
enum { RENORMALISED_BOTH, TAIL_BUCKET, TEACHER_RENORMALISED, RAW };

// The support, and logarithms of probabilities on it.
struct support {
  const int64_t *tokens;  // [count]
  int64_t count;
  double log_p_sum;       // log P
};

// log of the sum over K of exp(logs). -infinity if there is nothing to add up.
static double log_sum(const struct support *support, const float *logs) {
  double largest = -INFINITY, sum = 0;
  for (int64_t j = 0; j < support->count; j++) largest = fmax(largest, (double)logs[support->tokens[j]]);
  if (largest == -INFINITY) return largest;
  for (int64_t j = 0; j < support->count; j++) sum += exp((double)logs[support->tokens[j]] - largest);
  return largest + log(sum);
}

// Sum over K of p (log p - log q), where log p and log q are less by `less_p` and `less_q`; and into the gradient on K
// `share` q - p.
static double on_support(const espalier_prediction *prediction, const struct support *support, double less_p,
                         double less_q, double share, float *gradient) {
  double sum = 0;
  for (int64_t j = 0; j < support->count; j++) {
    const int64_t i = support->tokens[j];
    const double log_p = (double)prediction->teacher_log[i] - less_p;
    const double log_q = (double)prediction->student_log[i] - less_q;
    const double p = exp(log_p);
    gradient[i] = (float)(share * exp(log_q) - p);
    if (p > 0) sum += p * (log_p - log_q);
  }
  return sum;
}

// What is not on K of `values`, added up; on the way a copy in `rest`.
static double sum_of_rest(const struct support *support, const float *values, int64_t V, float *rest) {
  memcpy(rest, values, sizeof *rest * (size_t)V);
  for (int64_t j = 0; j < support->count; j++) rest[support->tokens[j]] = 0;
  return sum_all(rest, V);
}

// The bucket of all other tokens: its term, and its gradient everywhere but on K.
static double tail(const espalier_prediction *prediction, const struct support *support, float *restrict gradient) {
  const int64_t V = prediction->vocabulary;
  const double p = sum_of_rest(support, prediction->teacher, V, gradient);
  const double q = sum_of_rest(support, prediction->student, V, gradient);
  if (p <= 0) return 0;
  if (q > (double)NO_PROBABILITY) {
    const float factor = (float)(1 - p / q);
    for (int64_t i = 0; i < V; i++) gradient[i] *= factor;
    return p * (log(p) - log(q));
  }
  // Next to nothing is left to the student: by logarithms, which still tell how it is shared out.
  for (int64_t i = 0; i < V; i++) gradient[i] = prediction->student_log[i];
  for (int64_t j = 0; j < support->count; j++) gradient[support->tokens[j]] = -INFINITY;
  double largest = -INFINITY, sum = 0;
  for (int64_t i = 0; i < V; i++) largest = fmax(largest, (double)gradient[i]);
  if (largest == -INFINITY) return INFINITY;
  for (int64_t i = 0; i < V; i++) sum += exp((double)gradient[i] - largest);
  for (int64_t i = 0; i < V; i++) gradient[i] = (float)(-p * exp((double)gradient[i] - largest) / sum);
  return p * (log(p) - largest - log(sum));
}

// Scales the student's probabilities into the gradient.
static void everywhere(const espalier_prediction *prediction, double share, float *restrict gradient) {
  const float *restrict q = prediction->student;
  const float factor = (float)share;
  for (int64_t i = 0; i < prediction->vocabulary; i++) gradient[i] = factor * q[i];
}

static double divergence(const espalier_prediction *prediction, const struct support *support, int meaning,
                         float *gradient) {
  const double log_P = support->log_p_sum, P = exp(log_P);
  double sum = 0;
  switch (meaning) {
    case RENORMALISED_BOTH:
      memset(gradient, 0, sizeof *gradient * (size_t)prediction->vocabulary);
      return on_support(prediction, support, log_P, log_sum(support, prediction->student_log), 1, gradient);
    case TAIL_BUCKET:
      sum = tail(prediction, support, gradient);
      return sum + on_support(prediction, support, 0, 0, 1, gradient);
    case TEACHER_RENORMALISED:
      everywhere(prediction, 1, gradient);
      return on_support(prediction, support, log_P, 0, 1, gradient);
    default:
      everywhere(prediction, P, gradient);
      return on_support(prediction, support, 0, 0, P, gradient);
  }
}

static int32_t evaluate(const espalier_host *host, const espalier_prediction *prediction, const double *parameters,
                        double *loss, float *gradient, espalier_message *message) {
  (void)host;
  const int32_t status = check_prediction(prediction, 1, message);
  if (status != ESPALIER_OK) return status;
  const int64_t k = (int64_t)parameters[K];
  if (k >= prediction->vocabulary) return forward_divergence(prediction, loss, gradient, message);

  int64_t *tokens = malloc(sizeof *tokens * (size_t)k);
  if (tokens == NULL) {
    return report(message, ESPALIER_OUT_OF_MEMORY, "no memory for %lld tokens", (long long)k);
  }
  find_top(prediction->teacher_log, prediction->vocabulary, k, tokens);
  struct support support = {.tokens = tokens, .count = k};
  support.log_p_sum = log_sum(&support, prediction->teacher_log);
  *loss = divergence(prediction, &support, (int)parameters[MEANING], gradient);
  free(tokens);
  if (isfinite(*loss)) return ESPALIER_OK;
  return refuse(message,
                "the loss is %g: the student gives no probability to what the teacher finds likely; take a bounded "
                "objective (jensen-shannon, total-variation, a skewed one)",
                *loss);
}

static const espalier_parameter *const parameter_list[] = {
  [K] = INTEGER("k", 64, 1, 1048576, "How many of the teacher's likeliest tokens count"),
  [MEANING] = CHOICE("meaning", TAIL_BUCKET, "What becomes of all other tokens", "renormalised-both", "tail-bucket",
                     "teacher-renormalised", "raw"),
};

OBJECTIVE_PLUGIN(
  "top-k-kl", "Forward KL divergence on the teacher's k likeliest tokens, in the four meanings that are in use", NULL,
  .needs_teacher = 1, PARAMETERS(parameter_list), .evaluate = evaluate);
