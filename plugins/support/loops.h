// loops.h: the host's parallel loop, with words for what goes wrong in it.

#ifndef ESPALIER_SUPPORT_LOOPS_H
#define ESPALIER_SUPPORT_LOOPS_H

#include "report.h"

// body(context, i) once for each i in 0 ..< count, on the host's threads; the host looks for cancellation before each.
// `over` says what the indices count: "rows".
static inline int32_t run_loop(const espalier_host *host, int64_t count, int32_t (*body)(void *context, int64_t index),
                               void *context, const char *over, espalier_message *message) {
  const int32_t status = host->parallel_for(host, count, body, context);
  if (status == ESPALIER_OK || status == ESPALIER_CANCELLED) return status;
  if (status == ESPALIER_OUT_OF_MEMORY) return report(message, status, "no memory in the loop over the %s", over);
  return report(message, status, "the host could not run a parallel loop over the %s", over);
}

#endif
