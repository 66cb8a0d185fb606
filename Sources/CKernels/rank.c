/* Ranks of scores, for rank correlation: a radix sort of ordered keys with their places. */
#include <string.h>

#include "include/ckernels.h"
#include "kernels/ordered_key.h"

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

size_t ck_rank_scratch(size_t n) { return 4 * n; }

void ck_rank(float *ranks, const float *scores, size_t n, uint32_t *scratch) {
  uint32_t *keys = scratch, *places = keys + n, *next_keys = places + n, *next_places = next_keys + n;
  for (size_t i = 0; i < n; i++) keys[i] = ck_ordered_key(scores[i]), places[i] = (uint32_t)i;
  for (unsigned shift = 0; shift < 32; shift += DIGIT_BITS) {
    size_t starts[DIGITS + 1] = {0};
    for (size_t i = 0; i < n; i++) starts[((keys[i] >> shift) & (DIGITS - 1)) + 1]++;
    for (int d = 0; d < DIGITS; d++) starts[d + 1] += starts[d];
    for (size_t i = 0; i < n; i++) {
      const size_t to = starts[(keys[i] >> shift) & (DIGITS - 1)]++;
      next_keys[to] = keys[i], next_places[to] = places[i];
    }
    uint32_t *swap = keys;
    keys = next_keys, next_keys = swap;
    swap = places, places = next_places, next_places = swap;
  }
  for (size_t first = 0; first < n;) { /* equal scores share the mean of their ranks */
    size_t last = first;
    while (last + 1 < n && keys[last + 1] == keys[first]) last++;
    for (size_t i = first; i <= last; i++) ranks[places[i]] = ((float)first + (float)last) / 2;
    first = last + 1;
  }
}
