// units.h: checked units, as unit selectors rely on them.

#ifndef ESPALIER_SUPPORT_UNITS_H
#define ESPALIER_SUPPORT_UNITS_H

#include "moments.h"

// Fails with ESPALIER_INVALID_ARGUMENT unless the units are of one of `kinds` (a sum of ESPALIER_UNIT_...) and there
// are any. `names` says the kinds in words.
static inline int32_t check_units(const espalier_units *units, uint32_t kinds, const char *names,
                                  espalier_message *message) {
  const int known = units->unit == ESPALIER_UNIT_HEAD || units->unit == ESPALIER_UNIT_NEURON ||
                    units->unit == ESPALIER_UNIT_CHANNEL || units->unit == ESPALIER_UNIT_LAYER;
  if (!known || ((uint32_t)units->unit & kinds) == 0) {
    return refuse(message, "units of kind %d were given; this method scores %s",
                  (int)units->unit, names);
  }
  if (units->count < 1 || units->width < 1) {
    return refuse(message, "%lld units of %lld columns were given; at least 1 of each is needed",
                  (long long)units->count, (long long)units->width);
  }
  return ESPALIER_OK;
}

// Fails with ESPALIER_INVALID_ARGUMENT unless there are matrices, at most `most`, each with count * width columns and
// moments of its inputs.
static inline int32_t check_unit_matrices(const espalier_units *units, int64_t most, espalier_message *message) {
  if (units->matrices == NULL || units->matrix_count < 1 || units->matrix_count > most) {
    return refuse(message,
                  "the %lld units of layer %lld come with %lld matrices that read them; expected is %s",
                  (long long)units->count, (long long)units->layer,
                  (long long)(units->matrices == NULL ? 0 : units->matrix_count), most == 1 ? "1" : "at least 1");
  }
  for (int64_t k = 0; k < units->matrix_count; k++) {
    const espalier_matrix *matrix = units->matrices[k];
    if (matrix->columns % units->width != 0 || matrix->columns / units->width != units->count) {
      return refuse(message, "%s has %lld columns; %lld units of %lld columns were given",
                    matrix->tensor, (long long)matrix->columns, (long long)units->count, (long long)units->width);
    }
    const int32_t status = check_moments(matrix, message);
    if (status != ESPALIER_OK) return status;
  }
  return ESPALIER_OK;
}

// scores[unit] = score, unless that is no finite number: then ESPALIER_INVALID_ARGUMENT, and a hint to check `from`.
static inline int32_t set_unit_score(const espalier_units *units, int64_t unit, double score, const char *from,
                                     double *scores, espalier_message *message) {
  scores[unit] = score;
  if (isfinite(score)) return ESPALIER_OK;
  return refuse(message, "the score of unit %lld of %lld (layer %lld) is %g; check %s",
                (long long)unit, (long long)units->count, (long long)units->layer, score, from);
}

#endif
