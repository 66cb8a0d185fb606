// contrastive-memory: the teacher's text among those that came before (He et al. 2019, MoCo, arXiv 1911.05722, equation
// 1; Tian et al. 2019, arXiv 1910.10699, for distillation).
//
//   s_i, t_i: mean of the positions of sequence i that count, of length 1, of student and teacher; m_j: the bank
//   L = sum over sequences i of -log (e(t_i) / (e(t_i) + sum over j of e(m_j))),   e(v) = exp(<s_i, v> / tau)
//   dL/ds_i = 1/tau (softmax-weighted sum of t_i and all m_j, minus t_i), then through length and mean
//
// After the loss every t_i goes into the bank, and the oldest one out if it is full. In double; the bank is fp32.
//
//   memory:  filled | next | bank[0] ... bank[size - 1], `width` floats each

#include "declare.h"
#include "pooling.h"

enum { BANK, TAU };
enum { FILLED, NEXT, VECTORS };  // where things begin in the memory

static int64_t memory(const double *parameters, int64_t student_width, int64_t teacher_width) {
  (void)student_width;
  return VECTORS + (int64_t)parameters[BANK] * teacher_width;
}

// The loss of vector k, whose slope it writes; `scores` has room for `filled` and one more. Once cancelled, anything.
static double tell_apart(const espalier_host *host, const struct pooled *pooled, int64_t k, double tau, const float *bank,
                         int64_t filled, double *scores) {
  const int64_t n = pooled->width;
  const double *s = pooled->student + k * n, *t = pooled->teacher + k * n;
  const double right = inner(s, t, n) / tau;
  double largest = right, sum = 0;
  for (int64_t j = 0; j < filled; j++) {
    if (j % 64 == 0 && host->cancelled(host)) return 0;
    double product = 0;
    for (int64_t i = 0; i < n; i++) product += s[i] * (double)bank[j * n + i];
    scores[j] = product / tau;
    largest = fmax(largest, scores[j]);
  }
  for (int64_t j = 0; j < filled; j++) sum += scores[j] = exp(scores[j] - largest);
  const double of_right = exp(right - largest);
  sum += of_right;
  double *slope = pooled->slopes + k * n;
  for (int64_t i = 0; i < n; i++) slope[i] = (of_right / sum - 1) / tau * t[i];
  for (int64_t j = 0; j < filled; j++) {
    if (j % 64 == 0 && host->cancelled(host)) return 0;
    const double weight = scores[j] / (sum * tau);
    for (int64_t i = 0; i < n; i++) slope[i] += weight * (double)bank[j * n + i];
  }
  return largest + log(sum) - right;
}

static void remember(const struct pooled *pooled, int64_t size, float *room) {
  const int64_t n = pooled->width;
  int64_t filled = (int64_t)room[FILLED], next = (int64_t)room[NEXT];
  for (int64_t k = 0; k < pooled->count; k++) {
    float *slot = room + VECTORS + next * n;
    for (int64_t i = 0; i < n; i++) slot[i] = (float)pooled->teacher[k * n + i];
    next = (next + 1) % size;
    if (filled < size) filled++;
  }
  room[FILLED] = (float)filled;
  room[NEXT] = (float)next;
}

static int32_t compare(const espalier_host *host, const espalier_features *features, const double *parameters,
                       double *loss, float *gradient, espalier_message *message) {
  int32_t status = check_features(features, 1, message);
  if (status != ESPALIER_OK) return status;
  const int64_t size = (int64_t)parameters[BANK];
  float *room = features->memory;
  if (room == NULL || features->memory_count != memory(parameters, features->student_width, features->teacher_width)) {
    return refuse(message, "a memory of %lld floats was given for a bank of %lld vectors of %lld",
                  (long long)features->memory_count, (long long)size, (long long)features->teacher_width);
  }
  if (!(room[FILLED] >= 0 && room[FILLED] <= (float)size && room[NEXT] >= 0 && room[NEXT] < (float)size)) {
    return refuse(message,
                  "the memory says that %g of %lld vectors are there and the next is %g; it is not one of this method",
                  (double)room[FILLED], (long long)size, (double)room[NEXT]);
  }
  const int64_t filled = (int64_t)room[FILLED];
  struct pooled pooled;
  status = make_pooled(host, features, &pooled, message);
  if (status != ESPALIER_OK) return status;
  double *scores = malloc(sizeof *scores * (size_t)(filled + 1));
  if (scores == NULL) {
    free_pooled(&pooled);
    return report(message, ESPALIER_OUT_OF_MEMORY, "no memory for %lld scores", (long long)filled);
  }
  *loss = 0;
  for (int64_t k = 0; k < pooled.count && status == ESPALIER_OK; k++) {
    *loss += tell_apart(host, &pooled, k, parameters[TAU], room + VECTORS, filled, scores);
    if (host->cancelled(host)) status = ESPALIER_CANCELLED;
  }
  if (status == ESPALIER_OK) {
    spread(features, &pooled, gradient);
    remember(&pooled, size, room);
    if (filled == 0) {
      diagnose(host, ESPALIER_LOG_INFO, "memoryEmpty", NULL,
               "the memory bank is still empty: this call fills it and teaches nothing");
    }
  }
  free(scores);
  free_pooled(&pooled);
  return status;
}

static const espalier_parameter *const parameter_list[] = {
  [BANK] = INTEGER("bank", 1024, 1, 65536, "Vectors of the teacher's to remember, the last ones"),
  [TAU] = NUMBER("tau", 0.07, 0.001, 100, "Temperature of the similarities"),
};

FEATURE_OBJECTIVE_PLUGIN(
  "contrastive-memory", "Contrastive: the student's sequence against a memory bank of the teacher's (MoCo)",
  "https://arxiv.org/abs/1911.05722",
  .per_sequence = 1, .same_width = 1, PARAMETERS(parameter_list), .memory = memory, .compare = compare);
