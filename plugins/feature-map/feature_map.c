// feature-map: which positions of a sequence are alike (Tung and Mori 2019, arXiv 1907.09682, equations 2 to 4).
//
//   A = F F^T        G_i = A_i / |A_i|, row by row        F: T x width, the T positions of a sequence that count
//   L = sum over sequences of 1/T |G_student - G_teacher|_F^2
//   dG = 2/T (G_student - G_teacher)     dA_i = (dG_i - G_i <G_i, dG_i>) / |A_i|     dF = (dA + dA^T) F
//
// Widths may differ. A row of A that is 0 stays 0 and has no gradient. Products are fp32, norms and the loss double.

#include "algebra.h"
#include "declare.h"
#include "feature_parts.h"

// Rows that count, one after another: to[T, width].
static void gather(const float *from, const uint8_t *counted, int64_t length, int64_t width, float *to) {
  for (int64_t t = 0; t < length; t++) {
    if (!counted[t]) continue;
    memcpy(to, from + t * width, sizeof *to * (size_t)width);
    to += width;
  }
}

// Normalises a row; its norm, 0 if there is nothing to normalise.
static double normalise(float *row, int64_t n) {
  double sum = 0;
  for (int64_t j = 0; j < n; j++) sum += (double)row[j] * (double)row[j];
  const double norm = sqrt(sum);
  if (norm > 0) {
    for (int64_t j = 0; j < n; j++) row[j] = (float)((double)row[j] / norm);
  }
  return norm;
}

// The loss of A_student and A_teacher, T x T; `student` becomes dA.
static double compare_maps(float *student, float *teacher, int64_t T) {
  double loss = 0;
  for (int64_t i = 0; i < T; i++) {
    float *g = student + i * T, *h = teacher + i * T;
    const double norm = normalise(g, T);
    normalise(h, T);
    double along = 0;
    for (int64_t j = 0; j < T; j++) {
      const double difference = (double)g[j] - (double)h[j];
      loss += difference * difference;
      along += (double)g[j] * difference;
    }
    const double factor = norm > 0 ? 2 / ((double)T * norm) : 0;
    for (int64_t j = 0; j < T; j++) {
      g[j] = (float)(factor * ((double)g[j] - (double)h[j] - (double)g[j] * along));
    }
  }
  return loss / (double)T;
}

// One sequence, with room for [T, S] and [T, W] features, a T x T matrix of each, and [T, S] of gradient.
static int32_t compare_sequence_in(const struct comparing *comparing, int64_t sequence, int64_t T, float *room) {
  const espalier_features *features = comparing->features;
  const espalier_linear_algebra *algebra = comparing->algebra;
  const espalier_host *host = comparing->host;
  const int64_t S = features->student_width, W = features->teacher_width;
  const int64_t length = features->lengths[sequence], first = first_row(features, sequence);
  const uint8_t *counted = features->counted + first;
  float *s = room, *t = s + T * S, *student = t + T * W, *teacher = student + T * T, *slopes = teacher + T * T;
  gather(features->student + first * S, counted, length, S, s);
  gather(features->teacher + first * W, counted, length, W, t);
  int32_t status = algebra->product_f32(host, 0, 1, T, T, S, 1, s, S, s, S, 0, student, T);
  if (status == ESPALIER_OK) status = algebra->product_f32(host, 0, 1, T, T, W, 1, t, W, t, W, 0, teacher, T);
  if (status != ESPALIER_OK) return status;
  comparing->losses[sequence] = compare_maps(student, teacher, T);
  status = algebra->product_f32(host, 0, 0, T, S, T, 1, student, T, s, S, 0, slopes, S);
  if (status == ESPALIER_OK) status = algebra->product_f32(host, 1, 0, T, S, T, 1, student, T, s, S, 1, slopes, S);
  if (status != ESPALIER_OK) return status;
  float *gradient = comparing->gradient + first * S;
  for (int64_t i = 0; i < length; i++) {
    if (!counted[i]) continue;
    memcpy(gradient + i * S, slopes, sizeof *slopes * (size_t)S);
    slopes += S;
  }
  return ESPALIER_OK;
}

static int32_t compare_sequence(void *context, int64_t sequence) {
  const struct comparing *comparing = context;
  const espalier_features *features = comparing->features;
  const int64_t S = features->student_width, T = count_counted(features, sequence);
  memset(comparing->gradient + first_row(features, sequence) * S, 0,
         sizeof(float) * (size_t)(features->lengths[sequence] * S));
  if (T == 0) return ESPALIER_OK;
  float *room = malloc(sizeof *room * (size_t)(T * (2 * S + features->teacher_width + 2 * T)));
  if (room == NULL) return ESPALIER_OUT_OF_MEMORY;
  const int32_t status = compare_sequence_in(comparing, sequence, T, room);
  free(room);
  return status;
}

static int32_t compare(const espalier_host *host, const espalier_features *features, const double *parameters,
                       double *loss, float *gradient, espalier_message *message) {
  const int32_t status = check_features(features, 0, message);
  if (status != ESPALIER_OK) return status;
  const espalier_linear_algebra *algebra = algebra_of(host, message);
  if (algebra == NULL) return ESPALIER_FAILED;
  struct comparing comparing = {.host = host, .features = features, .parameters = parameters, .gradient = gradient,
                                .algebra = algebra};
  return compare_parts(&comparing, features->sequences, compare_sequence, "sequences", loss, message);
}

FEATURE_OBJECTIVE_PLUGIN(
  "feature-map", "Similarity-preserving maps of a sequence's positions (Tung and Mori 2019)",
  "https://arxiv.org/abs/1907.09682",
  .per_sequence = 1, .same_width = 0, .compare = compare);
