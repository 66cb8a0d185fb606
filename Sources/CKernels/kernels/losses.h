/*
 * Losses over a row of logits, and their gradients in its place.
 *
 * Sums of exp(logit - maximum) are kept in float lanes over short runs and in double over the runs. For normalisation
 * a row of -infinity logits but one is fine; a NaN or +infinity among them makes the loss NaN.
 */
#include "exponential.h"
#include "row_maximum.h"

/* Vectors of CK_LANES in a run of float sums. */
enum { CK_RUN = 8 * CK_LANES };

/* totals += lanes. */
static CK_INLINE void ck_add_lanes(double *totals, const real *lanes) {
  for (int l = 0; l < CK_LANES; l++) totals[l] += (double)lanes[l];
}

static CK_INLINE double ck_sum_lanes(const double *totals) {
  double sum = 0;
  for (int l = 0; l < CK_LANES; l++) sum += totals[l];
  return sum;
}

/* sum = the sum over i < n of `value`, an expression of i that is evaluated once for each: in float over a run, in double
 * over the runs. */
#define CK_SUM_IN_RUNS(sum, n, value)                                        \
  do {                                                                       \
    double totals[CK_LANES] = {0};                                           \
    size_t first = 0;                                                        \
    while (first + CK_LANES <= (n)) {                                        \
      real lanes[CK_LANES] = {0};                                            \
      const size_t end = first + CK_RUN < (n) ? first + CK_RUN : (n);        \
      for (; first + CK_LANES <= end; first += CK_LANES)                     \
        for (int l = 0; l < CK_LANES; l++) {                                 \
          const size_t i = first + (size_t)l;                                \
          lanes[l] += (value);                                               \
        }                                                                    \
      ck_add_lanes(totals, lanes);                                           \
    }                                                                        \
    (sum) = ck_sum_lanes(totals);                                            \
    for (size_t i = first; i < (n); i++) (sum) += (double)(value);           \
  } while (0)

void CK(logsumexp_update)(real *maximum, double *sum, const real *logits, size_t n) {
  const real slice_maximum = ck_row_maximum(logits, n);
  if (!(slice_maximum <= *maximum)) { /* also when either is NaN, which then stays */
    *sum *= exp((double)*maximum - (double)slice_maximum);
    *maximum = slice_maximum;
  }
  size_t i = 0;
  while (i + CK_LANES <= n) { /* float lanes over short runs, their sum in double */
    real lanes[CK_LANES] = {0};
    const size_t end = i + 64 * CK_LANES < n ? i + 64 * CK_LANES : n;
    for (; i + CK_LANES <= end; i += CK_LANES)
      for (int l = 0; l < CK_LANES; l++) lanes[l] += ck_exp(logits[i + l] - *maximum);
    for (int l = 0; l < CK_LANES; l++) *sum += (double)lanes[l];
  }
  for (; i < n; i++) *sum += (double)ck_exp(logits[i] - *maximum);
}

double CK(log_sum_exp)(const real *logits, size_t n) {
  if (n == 0) return -INFINITY;
  const real maximum = ck_row_maximum(logits, n);
  double sum;
  CK_SUM_IN_RUNS(sum, n, ck_exp(logits[i] - maximum));
  return (double)maximum + log(sum);
}

/* u = logits / temperature less its maximum; p = exp(u) / sum exp(u), log_p = u - log sum exp(u). */
void CK(distribution)(real *restrict log_p, real *restrict p, const real *restrict logits, size_t V,
                      real temperature) {
  const real maximum = ck_row_maximum(logits, V), factor = (real)1 / temperature;
  double sum;
  CK_SUM_IN_RUNS(sum, V, p[i] = ck_exp((logits[i] - maximum) * factor));
  const real share = (real)(1 / sum), log_sum = (real)log(sum);
  for (size_t i = 0; i < V; i++) {
    p[i] *= share;
    log_p[i] = (logits[i] - maximum) * factor - log_sum;
  }
}

/* loss = log sum exp - logits[target]; dloss/dlogits = softmax - onehot(target). */
double CK(cross_entropy_backward)(real *logits, size_t target, size_t V, real scale) {
  const real maximum = ck_row_maximum(logits, V);
  const double chosen = (double)logits[target] - (double)maximum;
  double sum;
  CK_SUM_IN_RUNS(sum, V, logits[i] = ck_exp(logits[i] - maximum));
  const real share = (real)((double)scale / sum);
  const real at_target = (real)((double)scale * ((double)logits[target] / sum - 1));
  for (size_t i = 0; i < V; i++) logits[i] *= share;
  logits[target] = at_target;
  return log(sum) - chosen;
}

/* p (a - b - shift) for p = exp(a - level); 0 log 0 = 0. */
static CK_INLINE real ck_kl_term(real a, real b, real level, real shift) {
  const real p = ck_exp(a - level);
  return p > 0 ? p * (a - b - shift) : 0;
}

/*
 * KL = sum_c p (a - b) - log sum exp a + log sum exp b for reference logits a and logits b, p = softmax(a). Both a - b
 * and the difference of the two sums lose the shift between the rows first, so that what is left is no larger than the
 * divergence makes it; the products are in double.
 */
double CK(divergence)(double *reference_log_sum, double *log_sum, const real *reference, const real *logits, size_t V) {
  *reference_log_sum = CK(log_sum_exp)(reference, V);
  *log_sum = CK(log_sum_exp)(logits, V);
  const real level = (real)*reference_log_sum, shift = (real)(*reference_log_sum - *log_sum);
  double sum;
  CK_SUM_IN_RUNS(sum, V, ck_kl_term(reference[i], logits[i], level, shift));
  /* What rounding `level` and `shift` to real has left out. */
  const double exact = *reference_log_sum - *log_sum;
  const double divergence = sum * exp((double)level - *reference_log_sum) + ((double)shift - exact);
  return divergence < 0 ? 0 : divergence; /* by rounding, where the two agree */
}
