// feature_parts.h: what feature objectives have in common: checked features, loops over positions and sequences whose
// losses are added up in one order always.

#ifndef ESPALIER_SUPPORT_FEATURE_PARTS_H
#define ESPALIER_SUPPORT_FEATURE_PARTS_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "loops.h"

// Fails with ESPALIER_INVALID_ARGUMENT if something is missing or does not fit.
static inline int32_t check_features(const espalier_features *features, int same_width, espalier_message *message) {
  if (features->sequences < 1 || features->lengths == NULL || features->student == NULL || features->teacher == NULL ||
      features->counted == NULL) {
    return refuse(message, "%lld sequences were given; features of student and teacher are needed, and which count",
                  (long long)features->sequences);
  }
  for (int64_t s = 0; s < features->sequences; s++) {
    if (features->lengths[s] < 1) {
      return refuse(message, "sequence %lld has %lld positions", (long long)s, (long long)features->lengths[s]);
    }
  }
  if (features->student_width < 1 || features->teacher_width < 1) {
    return refuse(message, "features of width %lld and %lld were given", (long long)features->student_width,
                  (long long)features->teacher_width);
  }
  if (same_width && features->student_width != features->teacher_width) {
    return refuse(message, "the student has %lld features and the teacher %lld; as many are needed",
                  (long long)features->student_width, (long long)features->teacher_width);
  }
  return ESPALIER_OK;
}

// All positions of all sequences.
static inline int64_t count_rows(const espalier_features *features) {
  int64_t rows = 0;
  for (int64_t s = 0; s < features->sequences; s++) rows += features->lengths[s];
  return rows;
}

// The first row of a sequence.
static inline int64_t first_row(const espalier_features *features, int64_t sequence) {
  int64_t row = 0;
  for (int64_t s = 0; s < sequence; s++) row += features->lengths[s];
  return row;
}

// How many positions of a sequence count.
static inline int64_t count_counted(const espalier_features *features, int64_t sequence) {
  const uint8_t *counted = features->counted + first_row(features, sequence);
  int64_t count = 0;
  for (int64_t t = 0; t < features->lengths[sequence]; t++) count += counted[t] != 0;
  return count;
}

// ---------------------------------------------------------------------------------------------------------------------
// Losses of parts: rows, sequences, heads.

// What the parts of one call share.
struct comparing {
  const espalier_host *host;
  const espalier_features *features;
  const double *parameters;
  float *gradient;   // R x student_width
  double *losses;    // one for each part
  int64_t heads;     // of each sequence, where a part is a head
  const espalier_linear_algebra *algebra;  // NULL where none is needed
};

// The sum of losses[count], in this order. Fails if one is not finite.
static inline int32_t add_losses(const double *losses, int64_t count, const char *parts, double *loss,
                                 espalier_message *message) {
  *loss = 0;
  for (int64_t i = 0; i < count; i++) {
    if (!isfinite(losses[i])) {
      return refuse(message, "the loss of number %lld of the %s is %g; the features are not finite", (long long)i,
                    parts, losses[i]);
    }
    *loss += losses[i];
  }
  return ESPALIER_OK;
}

// Calls body(comparing, i) for `count` parts on the host's threads, each of which writes losses[i], and adds them up.
static inline int32_t compare_parts(struct comparing *comparing, int64_t count,
                                    int32_t (*body)(void *context, int64_t index), const char *parts, double *loss,
                                    espalier_message *message) {
  comparing->losses = calloc((size_t)count, sizeof *comparing->losses);
  if (comparing->losses == NULL) {
    return report(message, ESPALIER_OUT_OF_MEMORY, "no memory for the losses of %lld %s", (long long)count, parts);
  }
  int32_t status = run_loop(comparing->host, count, body, comparing, parts, message);
  if (status == ESPALIER_OK) status = add_losses(comparing->losses, count, parts, loss, message);
  free(comparing->losses);
  return status;
}

#endif
