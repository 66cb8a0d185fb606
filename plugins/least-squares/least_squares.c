// least-squares: the kept weights that keep the map's outputs best, exactly.
//
//   minimise (w - w') (G + d I) (w - w')^T for each row over w' with w'_P = 0        d = damping * mean(diag G)
//
// which is ||W X - W' X||^2 + d ||W - W'||^2: of all weights on the mask none has less. See least_squares.h, and
// conjugate.h for the way that begins where an earlier round ended.

#include "conjugate.h"
#include "declare.h"
#include "fit_on_mask.h"

enum { DAMPING, STEPS };

static int32_t compensate(const espalier_host *host, const espalier_matrix *matrix, const uint8_t *kept,
                          const espalier_budget *budget, const double *parameters, float *weights, float *bias,
                          espalier_message *message) {
  (void)budget, (void)bias;
  const int64_t steps = (int64_t)parameters[STEPS];
  if (steps > 0) return conjugate_fit(host, matrix, kept, parameters[DAMPING], steps, weights, message);
  return fit_on_mask(host, matrix, kept, parameters[DAMPING], 0, weights, message);
}

static const espalier_parameter *const parameter_list[] = {
  [DAMPING] = NUMBER("damping", 0.01, 0, 10,
                     "Pull towards the dense weights, as a fraction of the mean diagonal of the Gram matrix"),
  [STEPS] = INTEGER("steps", 0, 0, 1000,
                    "0 solves exactly; otherwise so many steps of conjugate gradients, for runs in many rounds"),
};

COMPENSATOR_PLUGIN(
  "least-squares", "Exact least squares on the kept weights: the least output error that the mask allows", NULL,
  .statistics = ESPALIER_STATISTICS_GRAM, PARAMETERS(parameter_list), .compensate = compensate);
