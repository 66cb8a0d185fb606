// attention-relation: relations between the positions of a sequence (Wang et al. 2020, MiniLMv2, arXiv 2012.15828,
// equations 3 to 5).
//
//   in each of A heads   R = softmax(F F^T / sqrt(d)), row by row        F: T x d, of student and of teacher
//   L = sum over positions i that count of 1/A sum over heads of KL(R_teacher[i] || R_student[i])
//   dL/dZ[i] = (R_student[i] - R_teacher[i]) / A for those i, else 0;   dL/dF = (dL/dZ + dL/dZ^T) F / sqrt(d)
//
// Z = F F^T / sqrt(d). F are queries, keys or values; relations of Q, K and V are three objectives. With `causal`
// position i sees j <= i only. Positions that do not count are seen by others, and have a gradient for that. A head's d
// is what its rows have of the width, which may differ between student and teacher. Products are fp32, softmax and
// divergence double.

#include "algebra.h"
#include "declare.h"
#include "feature_parts.h"

enum { HEADS, CAUSAL };

// log softmax of z[n] in place, in double; -infinity stays.
static void log_softmax(double *z, int64_t n) {
  double largest = -INFINITY, sum = 0;
  for (int64_t j = 0; j < n; j++) largest = fmax(largest, z[j]);
  for (int64_t j = 0; j < n; j++) sum += exp(z[j] - largest);
  const double log_sum = largest + log(sum);
  for (int64_t j = 0; j < n; j++) z[j] -= log_sum;
}

// Divergences of the rows of two T x T products. `student` becomes dL/dZ. Once cancelled, anything.
static double compare_relations(const struct comparing *comparing, const uint8_t *counted, int64_t T, double heads,
                                float *student, const float *teacher, double *row_s, double *row_t) {
  const int causal = comparing->parameters[CAUSAL] != 0;
  double sum = 0;
  for (int64_t i = 0; i < T; i++) {
    if (i % 64 == 0 && comparing->host->cancelled(comparing->host)) return 0;
    float *z = student + i * T;
    const int64_t n = causal ? i + 1 : T;
    if (counted[i]) {
      for (int64_t j = 0; j < n; j++) row_s[j] = (double)z[j], row_t[j] = (double)teacher[i * T + j];
      log_softmax(row_s, n);
      log_softmax(row_t, n);
      for (int64_t j = 0; j < n; j++) {
        const double p = exp(row_t[j]);
        z[j] = (float)((exp(row_s[j]) - p) / heads);
        sum += p * (row_t[j] - row_s[j]);
      }
    } else {
      memset(z, 0, sizeof *z * (size_t)n);
    }
    memset(z + n, 0, sizeof *z * (size_t)(T - n));
  }
  return sum / heads;
}

// One head of one sequence, with room for two T x T matrices and two rows.
static int32_t compare_head_in(const struct comparing *comparing, int64_t part, float *student, float *teacher,
                               double *rows) {
  const espalier_features *features = comparing->features;
  const espalier_linear_algebra *algebra = comparing->algebra;
  const espalier_host *host = comparing->host;
  const int64_t sequence = part / comparing->heads, head = part % comparing->heads;
  const int64_t T = features->lengths[sequence], first = first_row(features, sequence);
  const int64_t S = features->student_width, W = features->teacher_width;
  const int64_t s = S / comparing->heads, t = W / comparing->heads;
  const float *of_student = features->student + first * S + head * s;
  const float *of_teacher = features->teacher + first * W + head * t;
  const float scale = 1 / sqrtf((float)s);
  int32_t status = algebra->product_f32(host, 0, 1, T, T, s, scale, of_student, S, of_student, S, 0, student, T);
  if (status != ESPALIER_OK) return status;
  status = algebra->product_f32(host, 0, 1, T, T, t, 1 / sqrtf((float)t), of_teacher, W, of_teacher, W, 0, teacher, T);
  if (status != ESPALIER_OK) return status;
  comparing->losses[part] = compare_relations(comparing, features->counted + first, T, (double)comparing->heads,
                                              student, teacher, rows, rows + T);
  if (host->cancelled(host)) return ESPALIER_CANCELLED;
  float *gradient = comparing->gradient + first * S + head * s;
  status = algebra->product_f32(host, 0, 0, T, s, T, scale, student, T, of_student, S, 0, gradient, S);
  if (status != ESPALIER_OK) return status;
  return algebra->product_f32(host, 1, 0, T, s, T, scale, student, T, of_student, S, 1, gradient, S);
}

static int32_t compare_head(void *context, int64_t part) {
  const struct comparing *comparing = context;
  const size_t T = (size_t)comparing->features->lengths[part / comparing->heads];
  float *products = malloc(sizeof *products * 2 * T * T);
  double *rows = malloc(sizeof *rows * 2 * T);
  int32_t status = ESPALIER_OUT_OF_MEMORY;
  if (products != NULL && rows != NULL) {
    status = compare_head_in(comparing, part, products, products + T * T, rows);
  }
  free(rows);
  free(products);
  return status;
}

static int32_t compare(const espalier_host *host, const espalier_features *features, const double *parameters,
                       double *loss, float *gradient, espalier_message *message) {
  const int32_t status = check_features(features, 0, message);
  if (status != ESPALIER_OK) return status;
  const int64_t heads = parameters[HEADS] > 0 ? (int64_t)parameters[HEADS] : features->heads;
  if (heads < 1 || features->student_width % heads != 0 || features->teacher_width % heads != 0) {
    return refuse(message,
                  "%lld heads do not divide the widths %lld (student) and %lld (teacher); set heads to a number that "
                  "divides both",
                  (long long)heads, (long long)features->student_width, (long long)features->teacher_width);
  }
  const espalier_linear_algebra *algebra = algebra_of(host, message);
  if (algebra == NULL) return ESPALIER_FAILED;
  struct comparing comparing = {.host = host, .features = features, .parameters = parameters, .gradient = gradient,
                                .heads = heads, .algebra = algebra};
  return compare_parts(&comparing, features->sequences * heads, compare_head, "heads", loss, message);
}

static const espalier_parameter *const parameter_list[] = {
  [HEADS] = INTEGER("heads", 0, 0, 4096, "Heads to split a row into; 0: as many as the place has"),
  [CAUSAL] = BOOLEAN("causal", 1, "Whether a position sees itself and earlier ones only, as decoders do"),
};

FEATURE_OBJECTIVE_PLUGIN(
  "attention-relation", "Relations between queries, keys or values of a sequence (MiniLMv2, Wang et al. 2020)",
  "https://arxiv.org/abs/2012.15828",
  .per_sequence = 0, .same_width = 0, PARAMETERS(parameter_list), .compare = compare);
