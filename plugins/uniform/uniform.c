// uniform: every tensor loses the same share.

#include <string.h>

#include "espalier_plugin.h"
#include "total.h"

static int32_t allocate(const espalier_host *host, const espalier_share *const *shares, int64_t count, double total,
                        const double *parameters, double *sparsities, espalier_message *message) {
  (void)host, (void)parameters;
  const int32_t status = total_check(shares, count, total, message);
  for (int64_t i = 0; i < count && status == ESPALIER_OK; i++) sparsities[i] = total;
  return status;
}

static const espalier_allocator allocator = {
  .struct_size = sizeof(espalier_allocator),
  .statistics = ESPALIER_STATISTICS_NONE,
  .allocate = allocate,
};

static const void *get_extension(const char *id) {
  return strcmp(id, ESPALIER_ALLOCATOR) == 0 ? &allocator : NULL;
}

const espalier_plugin_descriptor espalier_plugin = {
  .struct_size = sizeof(espalier_plugin_descriptor),
  .abi_major = ESPALIER_ABI_MAJOR,
  .abi_minor = ESPALIER_ABI_MINOR,
  .id = "uniform",
  .version = "1.0.0",
  .summary = "Every tensor loses the same share of its weights",
  .vendor = "Espalier",
  .licence = "Apache-2.0",
  .get_extension = get_extension,
};
