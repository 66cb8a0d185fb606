// least-squares: the kept weights that keep the map's outputs best, exactly.
//
//   minimise (w - w') (G + d I) (w - w')^T for each row over w' with w'_P = 0        d = damping * mean(diag G)
//
// which is ||W X - W' X||^2 + d ||W - W'||^2: of all weights on the mask none has less. See least_squares.h, and
// conjugate.h for the way that begins where an earlier round ended.

#include "conjugate.h"
#include "declare.h"
#include "fit_on_mask.h"

enum { DAMPING, STEPS, FINISH };
enum { FINISH_STEPS, FINISH_EXACT };

static int32_t compensate(const espalier_host *host, const espalier_matrix *matrix, const uint8_t *kept,
                          const espalier_budget *budget, const double *parameters, float *weights, float *bias,
                          espalier_message *message) {
  (void)bias;
  const int64_t steps = (int64_t)parameters[STEPS];
  const int in_rounds = budget != NULL && budget->round + budget->rounds_left > 0;
  const int is_last = budget == NULL || budget->rounds_left == 0;
  if (in_rounds && steps > 0 && !(is_last && (int)parameters[FINISH] == FINISH_EXACT)) {
    return conjugate_fit(host, matrix, kept, parameters[DAMPING], steps, weights, message);
  }
  return fit_on_mask(host, matrix, kept, parameters[DAMPING], 0, weights, message);
}

static const espalier_parameter *const parameter_list[] = {
  [DAMPING] = NUMBER("damping", 0.01, 0, 10,
                     "Pull towards the dense weights, as a fraction of the mean diagonal of the Gram matrix"),
  [STEPS] = INTEGER("steps", 8, 0, 1000,
                    "Where there are rounds: steps of conjugate gradients in each; 0 solves exactly"),
  [FINISH] = CHOICE("finish", FINISH_STEPS, "The last of several rounds: steps like those before, or exactly",
                    "steps", "exact"),
};

COMPENSATOR_PLUGIN(
  "least-squares", "Exact least squares on the kept weights: the least output error that the mask allows", NULL,
  .statistics = ESPALIER_STATISTICS_GRAM, PARAMETERS(parameter_list), .compensate = compensate);
