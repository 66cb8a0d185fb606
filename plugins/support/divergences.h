// divergences.h: the two Kullback-Leibler divergences of a prediction, with their gradients.

#ifndef ESPALIER_SUPPORT_DIVERGENCES_H
#define ESPALIER_SUPPORT_DIVERGENCES_H

#include "predictions.h"

// KL(p || q) = sum of p (log p - log q), 0 log 0 = 0; its gradient q - p.
static inline int32_t forward_divergence(const espalier_prediction *prediction, double *loss, float *restrict gradient,
                                         espalier_message *message) {
  const int64_t V = prediction->vocabulary;
  const float *restrict q = prediction->student, *restrict log_q = prediction->student_log;
  const float *restrict p = prediction->teacher, *restrict log_p = prediction->teacher_log;
  double sum = 0;
  for (int64_t start = 0; start < V; start += RUN) {
    const int64_t n = run_length(start, V);
    float terms[RUN];
    for (int64_t i = 0; i < n; i++) {
      const float term = p[start + i] * (log_p[start + i] - log_q[start + i]);
      terms[i] = p[start + i] > 0 ? term : 0;
      gradient[start + i] = q[start + i] - p[start + i];
    }
    sum += sum_run(terms, n);
  }
  return finish_loss(sum, loss, p, log_q, V, "teacher and student", message);
}

// KL(q || p) = sum of q (log q - log p), 0 log 0 = 0; its gradient q (log q - log p - KL).
static inline int32_t reverse_divergence(const espalier_prediction *prediction, double *loss, float *restrict gradient,
                                         espalier_message *message) {
  const int64_t V = prediction->vocabulary;
  const float *restrict q = prediction->student, *restrict log_q = prediction->student_log;
  const float *restrict log_p = prediction->teacher_log;
  double sum = 0;
  for (int64_t start = 0; start < V; start += RUN) {
    const int64_t n = run_length(start, V);
    for (int64_t i = 0; i < n; i++) {
      const float term = q[start + i] * (log_q[start + i] - log_p[start + i]);
      gradient[start + i] = q[start + i] > 0 ? term : 0;
    }
    sum += sum_run(gradient + start, n);
  }
  const int32_t status = finish_loss(sum, loss, q, log_p, V, "student and teacher", message);
  if (status == ESPALIER_OK) through_softmax(gradient, q, sum, V);
  return status;
}

#endif
