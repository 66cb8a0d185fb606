// total.h: sparsities that reach a total exactly: wishes shifted alike, within 0...1.

#ifndef ESPALIER_SUPPORT_TOTAL_H
#define ESPALIER_SUPPORT_TOTAL_H

#include <math.h>

#include "report.h"

// Fails with ESPALIER_INVALID_ARGUMENT for shares or a total that make no sense.
static inline int32_t check_total(const espalier_share *const *shares, int64_t count, double total,
                                  espalier_message *message) {
  if (!(total >= 0 && total <= 1)) return refuse(message, "the total sparsity is %g; it must be 0...1", total);
  for (int64_t i = 0; i < count; i++) {
    if (shares[i]->elements >= 1) continue;
    return refuse(message, "%s has %lld elements; at least 1 is needed", shares[i]->tensor,
                  (long long)shares[i]->elements);
  }
  return ESPALIER_OK;
}

// What sparsities[i] + shift, held within 0...1, prune of all elements.
static inline double total_reached(const espalier_share *const *shares, int64_t count, const double *sparsities,
                                   double shift) {
  double pruned = 0, elements = 0;
  for (int64_t i = 0; i < count; i++) {
    pruned += (double)shares[i]->elements * fmin(1, fmax(0, sparsities[i] + shift));
    elements += (double)shares[i]->elements;
  }
  return pruned / elements;
}

// Adds one number to all sparsities, holds them within 0...1, and so prunes `total` of all elements. The number is
// found by bisection: what is reached never falls as it grows. Shares that are held are told of as "clamped".
static inline void total_reach(const espalier_host *host, const espalier_share *const *shares, int64_t count,
                               double total, double *sparsities) {
  double least = sparsities[0], greatest = sparsities[0];
  for (int64_t i = 1; i < count; i++) {
    least = fmin(least, sparsities[i]);
    greatest = fmax(greatest, sparsities[i]);
  }
  double low = -greatest, high = 1 - least;  // everything 0, everything 1
  for (int step = 0; step < 200; step++) {
    const double middle = low + (high - low) / 2;
    if (total_reached(shares, count, sparsities, middle) < total) low = middle;
    else high = middle;
  }
  int64_t held = 0;
  for (int64_t i = 0; i < count; i++) {
    const double wish = sparsities[i] + high;
    held += wish < -1e-9 || wish > 1 + 1e-9;
    sparsities[i] = fmin(1, fmax(0, wish));
  }
  if (held == 0) return;
  diagnose(host, ESPALIER_LOG_WARNING, "clamped", NULL,
           "%lld of %lld tensors were to lose less than nothing or more than everything; they are held at 0 or 1, the "
           "others moved by %.4g", (long long)held, (long long)count, high);
}

#endif
