// pooling.h: one vector for each sequence: the mean of its positions that count, of length 1. What contrastive
// objectives compare.

#ifndef ESPALIER_SUPPORT_POOLING_H
#define ESPALIER_SUPPORT_POOLING_H

#include "feature_parts.h"

// Pooled sequences of student and teacher, in double. All of it lies in one block, freed by free_pooled.
struct pooled {
  int64_t count;     // sequences with something that counts
  int64_t width;
  int64_t *sequence; // [count]: which one it is
  double *student;   // [count, width], of length 1
  double *teacher;
  double *norms;     // [count]: of the student's mean, before
  double *slopes;    // [count, width]: dL/dstudent, 0 at first
};

static inline void free_pooled(struct pooled *pooled) {
  free(pooled->sequence);
  free(pooled->student);
}

// Writes the mean of a sequence's positions that count, of length 1. Returns the length it had: 0 if nothing counts or
// the mean is 0.
static inline double pool(const espalier_features *features, int64_t sequence, const float *values, double *mean) {
  const int64_t n = features->student_width, first = first_row(features, sequence);
  const int64_t counted = count_counted(features, sequence);
  for (int64_t j = 0; j < n; j++) mean[j] = 0;
  if (counted == 0) return 0;
  for (int64_t i = first; i < first + features->lengths[sequence]; i++) {
    if (!features->counted[i]) continue;
    for (int64_t j = 0; j < n; j++) mean[j] += (double)values[i * n + j];
  }
  double squares = 0;
  for (int64_t j = 0; j < n; j++) {
    mean[j] /= (double)counted;
    squares += mean[j] * mean[j];
  }
  const double norm = sqrt(squares);
  if (norm > 0) {
    for (int64_t j = 0; j < n; j++) mean[j] /= norm;
  }
  return norm;
}

// Pools all sequences. Those of which nothing counts, or whose mean is 0, are left out; the latter with a diagnostic.
static inline int32_t make_pooled(const espalier_host *host, const espalier_features *features, struct pooled *pooled,
                                  espalier_message *message) {
  const int64_t n = features->student_width, most = features->sequences;
  *pooled = (struct pooled){.width = n};
  pooled->sequence = malloc(sizeof *pooled->sequence * (size_t)most);
  pooled->student = calloc((size_t)(most * (3 * n + 1)), sizeof *pooled->student);
  if (pooled->sequence == NULL || pooled->student == NULL) {
    free_pooled(pooled);
    return report(message, ESPALIER_OUT_OF_MEMORY, "no memory for vectors of %lld sequences", (long long)most);
  }
  pooled->teacher = pooled->student + most * n;
  pooled->slopes = pooled->teacher + most * n;
  pooled->norms = pooled->slopes + most * n;
  int64_t zeros = 0;
  for (int64_t s = 0; s < most; s++) {
    if (count_counted(features, s) == 0) continue;
    const int64_t k = pooled->count;
    pooled->norms[k] = pool(features, s, features->student, pooled->student + k * n);
    const double of_teacher = pool(features, s, features->teacher, pooled->teacher + k * n);
    if (!isfinite(pooled->norms[k]) || !isfinite(of_teacher)) {
      free_pooled(pooled);
      return refuse(message, "the features of sequence %lld are not finite", (long long)s);
    }
    if (pooled->norms[k] == 0 || of_teacher == 0) {
      zeros++;
      continue;
    }
    pooled->sequence[k] = s;
    pooled->count++;
  }
  if (zeros > 0) {
    diagnose(host, ESPALIER_LOG_WARNING, "zeroFeatures", NULL,
             "the mean of the features is 0 in %lld sequences, which are left out", (long long)zeros);
  }
  return ESPALIER_OK;
}

// <a, b>
static inline double inner(const double *a, const double *b, int64_t n) {
  double sum = 0;
  for (int64_t j = 0; j < n; j++) sum += a[j] * b[j];
  return sum;
}

// From dL/dstudent of the pooled vectors to the gradient in the features: through the length, then evenly to all
// positions that count.
static inline void spread(const espalier_features *features, const struct pooled *pooled, float *gradient) {
  const int64_t n = pooled->width;
  memset(gradient, 0, sizeof *gradient * (size_t)(count_rows(features) * n));
  for (int64_t k = 0; k < pooled->count; k++) {
    const int64_t s = pooled->sequence[k], first = first_row(features, s);
    const double *unit = pooled->student + k * n, *slope = pooled->slopes + k * n;
    const double along = inner(unit, slope, n);
    const double factor = 1 / (pooled->norms[k] * (double)count_counted(features, s));
    for (int64_t i = first; i < first + features->lengths[s]; i++) {
      if (!features->counted[i]) continue;
      for (int64_t j = 0; j < n; j++) gradient[i * n + j] = (float)(factor * (slope[j] - along * unit[j]));
    }
  }
}

#endif
