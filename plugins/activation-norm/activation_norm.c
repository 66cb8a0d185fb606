// activation-norm: units by how strongly they speak (Muralidharan et al. 2024, Minitron, arXiv 2407.14679, section 2.2;
// its code in NVIDIA's Model Optimizer).
//
//   a_j = sqrt(sum over sequences of (mean over the sequence's tokens of |x_j|)^2)       the inputs x of a matrix
//   S_u = sum over matrices of sqrt(sum over the columns j of unit u of a_j^2)
//
// Neurons: the inputs of the feed-forward network's last map, S = a. Heads: the L2 norm over the inputs of the
// attention's output map that the head makes. Channels: the normalised hidden state, summed over all maps that read it.
// In double.

#include <math.h>
#include <stdint.h>

#include "declare.h"
#include "units.h"

static int32_t score(const espalier_host *host, const espalier_units *units, const double *parameters,
                     double *scores, espalier_message *message) {
  (void)host, (void)parameters;
  int32_t status = check_units(units, ESPALIER_UNIT_HEAD | ESPALIER_UNIT_NEURON | ESPALIER_UNIT_CHANNEL,
                               "heads, neurons and channels", message);
  if (status == ESPALIER_OK) status = check_unit_matrices(units, INT64_MAX, message);
  if (status != ESPALIER_OK) return status;
  for (int64_t k = 0; k < units->matrix_count; k++) {
    if (units->matrices[k]->moments->sum_of_squared_means != NULL) continue;
    return refuse(message, "the moments for %s come without the squared means of sequences",
                  units->matrices[k]->tensor);
  }
  for (int64_t u = 0; u < units->count; u++) {
    double sum = 0;
    for (int64_t k = 0; k < units->matrix_count; k++) {
      const double *squares = units->matrices[k]->moments->sum_of_squared_means + u * units->width;
      double norm = 0;
      for (int64_t j = 0; j < units->width; j++) norm += squares[j];
      sum += sqrt(norm);
    }
    status = set_unit_score(units, u, sum, "the dataset and the inputs of the unit", scores, message);
    if (status != ESPALIER_OK) return status;
  }
  return ESPALIER_OK;
}

UNIT_SELECTOR_PLUGIN(
  "activation-norm", "Activation norm of heads, neurons and channels (Minitron: Muralidharan et al. 2024)",
  "https://arxiv.org/abs/2407.14679",
  .statistics = ESPALIER_STATISTICS_MOMENTS, .units = ESPALIER_UNIT_HEAD | ESPALIER_UNIT_NEURON | ESPALIER_UNIT_CHANNEL,
  .default_group = ESPALIER_GROUP_MATRIX, .score = score);
