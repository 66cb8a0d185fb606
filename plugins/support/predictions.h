// predictions.h: what objectives have in common: checked predictions, sums over a vocabulary, the logarithm of
// mixtures, the way from dL/dq to the gradient in the logits.
//
// A vocabulary is worked through in runs of at most RUN elements: terms of a run go to a small array in fp32, in loops
// without branches that the compiler vectorises, and are then added up in double. One position, one thread, the same
// order always: the same bits.

#ifndef ESPALIER_SUPPORT_PREDICTIONS_H
#define ESPALIER_SUPPORT_PREDICTIONS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "report.h"

enum { RUN = 512, SUM_LANES = 8 };

// Below this a probability is as good as 0, and a quotient by it could be more than a float holds.
#define NO_PROBABILITY 1e-30f

// Fails with ESPALIER_INVALID_ARGUMENT if something is missing. `teacher` says whether a teacher is needed.
static inline int32_t check_prediction(const espalier_prediction *prediction, int teacher, espalier_message *message) {
  const int64_t V = prediction->vocabulary;
  if (V < 1 || prediction->target < 0 || prediction->target >= V) {
    return refuse(message, "the token %lld of a vocabulary of %lld was given", (long long)prediction->target,
                  (long long)V);
  }
  if (prediction->student == NULL || prediction->student_log == NULL) {
    return refuse(message, "the student's probabilities are missing");
  }
  if (teacher && (prediction->teacher == NULL || prediction->teacher_log == NULL)) {
    return refuse(message, "the teacher's probabilities are missing; give a teacher");
  }
  return ESPALIER_OK;
}

// The elements of the run that begins at `start`.
static inline int64_t run_length(int64_t start, int64_t V) { return V - start < RUN ? V - start : RUN; }

// The sum of n terms, in double, in SUM_LANES lanes.
static inline double sum_run(const float *restrict terms, int64_t n) {
  double lanes[SUM_LANES] = {0};
  int64_t i = 0;
  for (; i + SUM_LANES <= n; i += SUM_LANES) {
    for (int64_t l = 0; l < SUM_LANES; l++) lanes[l] += (double)terms[i + l];
  }
  for (; i < n; i++) lanes[0] += (double)terms[i];
  double sum = 0;
  for (int64_t l = 0; l < SUM_LANES; l++) sum += lanes[l];
  return sum;
}

// The sum of any number of values.
static inline double sum_all(const float *values, int64_t count) {
  double sum = 0;
  for (int64_t start = 0; start < count; start += RUN) sum += sum_run(values + start, run_length(start, count));
  return sum;
}

// log of 1e-30...1e30, to 3 ulp; what it gives for other arguments has no meaning.
//   x = 2^k f, f in sqrt(1/2)...sqrt(2):   log x = k log 2 + 2 artanh s,   s = (f - 1) / (f + 1), |s| <= 0.172
// The series 2 artanh s = 2s + 2s^3/3 + 2s^5/5 + ... is cut behind s^9, an error of 1e-9 of it.
static inline float quick_log(float x) {
  int32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const int32_t k = (bits - 0x3f3504f3) >> 23;  // 0x3f3504f3: the bits of sqrt(1/2)
  bits = (int32_t)((uint32_t)bits - ((uint32_t)k << 23));
  float f;
  memcpy(&f, &bits, sizeof f);
  const float s = (f - 1) / (f + 1), z = s * s;
  const float series = z * (0.6666667f + z * (0.4f + z * (0.28571429f + z * 0.22222222f)));
  const float e = (float)k;
  // log 2 in two parts, the first of which times k is exact.
  return e * 0.693359375f + (s * (2 + series) - e * 2.12194440e-4f);
}

// log of a mixture over one of its parts, m / q = u = w + (1 - w) p / q, where x = u - 1 = (1 - w) (p - q) / q is known
// more exactly where the two are alike.
static inline float log_of_mixture(float u, float x) {
  const float rounding = (x - (u - 1)) / u;
  const float near = x > -0.5f && x < 0.5f ? rounding : 0;
  return quick_log(u) + near;
}

// From h_i = q_i dL/dq_i, in place, to the gradient in u of q = softmax(u):  g_i = h_i - q_i sum of h.
static inline void through_softmax(float *restrict h, const float *restrict q, double sum, int64_t V) {
  const float total = (float)sum;
  for (int64_t i = 0; i < V; i++) h[i] -= q[i] * total;
}

// Takes the loss as it is, unless it is not finite: then some token has a probability on one side and none on the
// other, and this says which. `from` has the probabilities that count, `to_log` the logarithms that must not be
// -infinity.
static inline int32_t finish_loss(double value, double *loss, const float *from, const float *to_log, int64_t V,
                                  const char *names, espalier_message *message) {
  *loss = value;
  if (isfinite(value)) return ESPALIER_OK;
  for (int64_t i = 0; i < V; i++) {
    if (from[i] > 0 && to_log[i] == -INFINITY) {
      return refuse(message,
                    "%s: token %lld has the probability %g for one and 0 for the other, so that the divergence is "
                    "infinite; take a bounded objective (jensen-shannon, total-variation, a skewed one)",
                    names, (long long)i, (double)from[i]);
    }
  }
  return refuse(message, "%s: the loss is %g; the logits are not finite", names, value);
}

#endif
