// algebra.h: the host's linear algebra, words for what goes wrong in it, and matrices from one precision to the other.

#ifndef ESPALIER_SUPPORT_ALGEBRA_H
#define ESPALIER_SUPPORT_ALGEBRA_H

#include "report.h"

// The host's table, or NULL after a message.
static inline const espalier_linear_algebra *algebra_of(const espalier_host *host, espalier_message *message) {
  const espalier_linear_algebra *algebra = host->get_extension(host, ESPALIER_LINEAR_ALGEBRA);
  if (algebra == NULL || algebra->struct_size < sizeof *algebra) {
    espalier_report(message, ESPALIER_FAILED,
                    "the host has no linear algebra (" ESPALIER_LINEAR_ALGEBRA "); it must be of version 1.1 or later");
    return NULL;
  }
  return algebra;
}

// Gives `status` of a call of that table a message, unless it was cancelled.
static inline int32_t algebra_report(int32_t status, espalier_message *message) {
  if (status == ESPALIER_OK || status == ESPALIER_CANCELLED) return status;
  if (status == ESPALIER_OUT_OF_MEMORY) return espalier_report(message, status, "no memory for the linear algebra");
  return espalier_report(message, status, "the host's linear algebra or its parallel loop did not succeed");
}

struct widening {
  const float *from;  // [rows, columns]
  double *to;         // [rows, columns]
  int64_t columns;
};

static inline int32_t widen_row(void *context, int64_t row) {
  const struct widening *widening = context;
  const float *restrict from = widening->from + row * widening->columns;
  double *restrict to = widening->to + row * widening->columns;
  for (int64_t j = 0; j < widening->columns; j++) to[j] = from[j];
  return ESPALIER_OK;
}

struct narrowing {
  const double *from;  // [rows, columns]
  float *to;           // [rows, columns]
  int64_t columns;
};

static inline int32_t narrow_row(void *context, int64_t row) {
  const struct narrowing *narrowing = context;
  const double *restrict from = narrowing->from + row * narrowing->columns;
  float *restrict to = narrowing->to + row * narrowing->columns;
  for (int64_t j = 0; j < narrowing->columns; j++) to[j] = (float)from[j];
  return ESPALIER_OK;
}

// to[rows, columns] = from, in double.
static inline int32_t widen(const espalier_host *host, const float *from, int64_t rows, int64_t columns, double *to) {
  struct widening widening = {.from = from, .to = to, .columns = columns};
  return host->parallel_for(host, rows, widen_row, &widening);
}

// to[rows, columns] = from, rounded to fp32.
static inline int32_t narrow(const espalier_host *host, const double *from, int64_t rows, int64_t columns, float *to) {
  struct narrowing narrowing = {.from = from, .to = to, .columns = columns};
  return host->parallel_for(host, rows, narrow_row, &narrowing);
}

#endif
