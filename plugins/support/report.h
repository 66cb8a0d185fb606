// report.h: reasons and findings with names and numbers in them, written as printf writes.

#ifndef ESPALIER_SUPPORT_REPORT_H
#define ESPALIER_SUPPORT_REPORT_H

#include <stdarg.h>
#include <stdio.h>

#include "espalier_plugin.h"

// Writes why a call did not succeed, and returns `status`.
__attribute__((format(printf, 3, 4))) static inline int32_t report(espalier_message *message, int32_t status,
                                                                   const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message->text, message->capacity, format, arguments);
  va_end(arguments);
  return status;
}

// Says why these inputs or parameters cannot be worked with.
#define refuse(message, ...) report(message, ESPALIER_INVALID_ARGUMENT, __VA_ARGS__)

// Tells the person who asked, though the call succeeds: espalier_host.diagnose. Cut after 255 bytes.
__attribute__((format(printf, 5, 6))) static inline void diagnose(const espalier_host *host, int32_t level,
                                                                  const char *kind, const char *tensor,
                                                                  const char *format, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  host->diagnose(host, level, kind, tensor, text);
}

#endif
