// least-squares-dense: the kept weights whose outputs come nearest to those of the model before pruning.
//
//   minimise ||W Z - W' X||^2 + d ||W - W'||^2 over W' on the mask        d = damping * mean(diag G)
//
// Z are the inputs before anything was pruned, X those of now: errors of earlier layers are made good too. The normal
// equations are W' (G + d I) = W C + d W on the support, with C = sum z x^T. See fit_on_mask.h and least_squares.h.

#include "declare.h"
#include "fit_on_mask.h"

enum { DAMPING };

static int32_t compensate(const espalier_host *host, const espalier_matrix *matrix, const uint8_t *kept,
                          const espalier_budget *budget, const double *parameters, float *weights, float *bias,
                          espalier_message *message) {
  (void)budget, (void)bias;
  return fit_on_mask(host, matrix, kept, parameters[DAMPING], 1, weights, message);
}

static const espalier_parameter *const parameter_list[] = {
  [DAMPING] = NUMBER("damping", 0.01, 0, 10,
                     "Pull towards the dense weights, as a fraction of the mean diagonal of the Gram matrix"),
};

COMPENSATOR_PLUGIN(
  "least-squares-dense", "Least squares on the kept weights towards the outputs of the unpruned model", NULL,
  .statistics = ESPALIER_STATISTICS_GRAM | ESPALIER_STATISTICS_CROSS_GRAM, PARAMETERS(parameter_list),
  .compensate = compensate);
