// top.h: the k largest of many values, of equal ones the first.

#ifndef ESPALIER_TOP_K_KL_TOP_H
#define ESPALIER_TOP_K_KL_TOP_H

#include <stdint.h>

// True if the value at `a` is to go before the one at `b`: it is smaller, or equal and later.
static inline int goes_before(const float *values, int64_t a, int64_t b) {
  return values[a] < values[b] || (values[a] == values[b] && a > b);
}

// Puts `index` at `place` of a heap whose first is the one that goes first, and restores the order below.
static inline void sift(const float *values, int64_t *heap, int64_t count, int64_t place, int64_t index) {
  for (;;) {
    int64_t child = 2 * place + 1;
    if (child >= count) break;
    if (child + 1 < count && goes_before(values, heap[child + 1], heap[child])) child++;
    if (!goes_before(values, heap[child], index)) break;
    heap[place] = heap[child];
    place = child;
  }
  heap[place] = index;
}

// Writes the indices of the k largest of n values, 1 <= k <= n, in no particular but always the same order. A value
// that is NaN is never larger.
static inline void find_top(const float *values, int64_t n, int64_t k, int64_t *heap) {
  for (int64_t i = 0; i < k; i++) heap[i] = i;
  for (int64_t i = k / 2; i-- > 0;) sift(values, heap, k, i, heap[i]);
  float least = values[heap[0]];
  for (int64_t i = k; i < n; i++) {
    // An equal one that comes later does not displace anything.
    if (!(values[i] > least)) continue;
    sift(values, heap, k, 0, i);
    least = values[heap[0]];
  }
}

#endif
