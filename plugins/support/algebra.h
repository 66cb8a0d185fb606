// algebra.h: finds the host's linear algebra, which every method over Gram matrices needs.

#ifndef ESPALIER_SUPPORT_ALGEBRA_H
#define ESPALIER_SUPPORT_ALGEBRA_H

#include "espalier_plugin.h"

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

#endif
