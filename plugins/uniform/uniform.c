// uniform: every tensor loses the same share.

#include "declare.h"
#include "total.h"

static int32_t allocate(const espalier_host *host, const espalier_share *const *shares, int64_t count, double total,
                        const double *parameters, double *sparsities, espalier_message *message) {
  (void)host, (void)parameters;
  const int32_t status = check_total(shares, count, total, message);
  for (int64_t i = 0; i < count && status == ESPALIER_OK; i++) sparsities[i] = total;
  return status;
}

ALLOCATOR_PLUGIN(
  "uniform", "Every tensor loses the same share of its weights", NULL,
  .statistics = ESPALIER_STATISTICS_NONE, .allocate = allocate);
