// sampled-kl: forward KL by sampling (Anshumann et al. 2025, RS-KD, arXiv 2503.16870).
//
//   x_1 ... x_n drawn from p, c_i how often i was drawn
//   L = 1/n sum of (log p(x_j) - log q(x_j))        dL/du_i = q_i - c_i / n
//
// p is the teacher, q the student. On average over draws L is KL(p || q) and its gradient is q - p: without bias,
// unlike a top k. A single L can be negative. Draws come from the position's seed (SplitMix64) by inverting the
// cumulative distribution, whose sums are double: by runs first, then within one.

#include <stdlib.h>

#include "declare.h"
#include "predictions.h"

enum { DRAWS };

// The next of a sequence of random numbers (Steele, Lea and Flood 2014), uniform in 0 ..< 1.
static double next_uniform(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

// The token at which the cumulative distribution passes `point`, 0 <= point < ends[runs - 1].
static int64_t find_token(const float *p, int64_t V, const double *ends, int64_t runs, double point) {
  int64_t low = 0, high = runs - 1;  // the first run that ends beyond the point
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (ends[middle] > point) high = middle; else low = middle + 1;
  }
  double sum = low > 0 ? ends[low - 1] : 0;
  int64_t last = low * RUN;
  for (int64_t i = low * RUN; i < V && i < (low + 1) * RUN; i++) {
    if (!(p[i] > 0)) continue;
    last = i;
    sum += (double)p[i];
    if (sum > point) return i;
  }
  return last;  // the sums of a run differ in their last digits by the order of adding
}

// Counts the draws of every token in `counts`, [V]. Returns the sum over draws of log p - log q.
static double draw(const espalier_prediction *prediction, int64_t draws, double *ends, float *counts) {
  const int64_t V = prediction->vocabulary, runs = (V - 1) / RUN + 1;
  const float *p = prediction->teacher;
  double total = 0, sum = 0;
  for (int64_t run = 0; run < runs; run++) {
    total += sum_run(p + run * RUN, run_length(run * RUN, V));
    ends[run] = total;
  }
  memset(counts, 0, sizeof *counts * (size_t)V);
  if (!(total > 0)) return NAN;
  uint64_t state = prediction->seed;
  for (int64_t j = 0; j < draws; j++) {
    const int64_t i = find_token(p, V, ends, runs, next_uniform(&state) * total);
    counts[i] += 1;
    sum += (double)prediction->teacher_log[i] - (double)prediction->student_log[i];
  }
  return sum;
}

static int32_t evaluate(const espalier_host *host, const espalier_prediction *prediction, const double *parameters,
                        double *loss, float *restrict gradient, espalier_message *message) {
  (void)host;
  const int32_t status = check_prediction(prediction, 1, message);
  if (status != ESPALIER_OK) return status;
  const int64_t V = prediction->vocabulary, draws = (int64_t)parameters[DRAWS];
  double *ends = malloc(sizeof *ends * (size_t)((V - 1) / RUN + 1));
  if (ends == NULL) return report(message, ESPALIER_OUT_OF_MEMORY, "no memory for sums over %lld tokens", (long long)V);
  *loss = draw(prediction, draws, ends, gradient) / (double)draws;
  free(ends);
  if (!isfinite(*loss)) {
    return refuse(message,
                  "the loss is %g: the student gives no probability to a token that the teacher drew, or the logits "
                  "are not finite",
                  *loss);
  }
  const float *restrict q = prediction->student;
  const float each = 1 / (float)draws;
  for (int64_t i = 0; i < V; i++) gradient[i] = q[i] - gradient[i] * each;
  return ESPALIER_OK;
}

static const espalier_parameter *const parameter_list[] = {
  [DRAWS] = INTEGER("draws", 50, 1, 65536, "Tokens to draw from the teacher at each position"),
};

OBJECTIVE_PLUGIN(
  "sampled-kl", "Forward KL divergence by tokens drawn from the teacher, without bias (RS-KD, Anshumann et al. 2025)",
  "https://arxiv.org/abs/2503.16870",
  .needs_teacher = 1, PARAMETERS(parameter_list), .evaluate = evaluate);
