// sorting.h: floats in ascending order, by a radix sort of their bits: three passes of 11 bits each.

#ifndef ESPALIER_SUPPORT_SORTING_H
#define ESPALIER_SUPPORT_SORTING_H

#include <stdlib.h>
#include <string.h>

#include "espalier_plugin.h"

#define SORTING_DIGITS 2048
#define SORTING_POLL (INT64_C(1) << 20)  // elements between two looks for cancellation

// The bits of a number in an order of unsigned integers; -0 counts as +0.
static inline uint32_t sorting_key(float value) {
  uint32_t bits;
  value += 0.0f;
  memcpy(&bits, &value, sizeof bits);
  return bits >> 31 ? ~bits : bits | UINT32_C(0x80000000);
}

static inline float sorting_value(uint32_t key) {
  const uint32_t bits = key >> 31 ? key & UINT32_C(0x7fffffff) : ~key;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// Sorts `count` numbers, none of them NaN, in place; `keys` and `scratch` are room for as many keys. Equal numbers are
// the same bits afterwards, so nothing depends on their order. ESPALIER_CANCELLED if the host says so.
static inline int32_t sort_ascending(const espalier_host *host, float *values, int64_t count, uint32_t *keys,
                                     uint32_t *scratch) {
  int64_t places[3][SORTING_DIGITS] = {{0}};
  for (int64_t i = 0; i < count; i++) {
    if (i % SORTING_POLL == SORTING_POLL - 1 && host->cancelled(host)) return ESPALIER_CANCELLED;
    const uint32_t key = sorting_key(values[i]);
    keys[i] = key;
    for (int pass = 0; pass < 3; pass++) places[pass][key >> (11 * pass) & (SORTING_DIGITS - 1)]++;
  }
  for (int pass = 0; pass < 3; pass++) {
    int64_t before = 0;
    for (int digit = 0; digit < SORTING_DIGITS; digit++) {
      const int64_t here = places[pass][digit];
      places[pass][digit] = before;
      before += here;
    }
    for (int64_t i = 0; i < count; i++) {
      if (i % SORTING_POLL == SORTING_POLL - 1 && host->cancelled(host)) return ESPALIER_CANCELLED;
      scratch[places[pass][keys[i] >> (11 * pass) & (SORTING_DIGITS - 1)]++] = keys[i];
    }
    uint32_t *swap = keys;
    keys = scratch;
    scratch = swap;
  }
  for (int64_t i = 0; i < count; i++) values[i] = sorting_value(keys[i]);
  return ESPALIER_OK;
}

// How many of `count` ascending numbers are smaller than `value`.
static inline int64_t count_smaller(const float *sorted, int64_t count, float value) {
  int64_t low = 0;
  while (count > 0) {
    const int64_t half = count / 2;
    if (sorted[low + half] < value) {
      low += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  return low;
}

// What it takes to sort a row and add up what was sorted, all in one piece of memory that begins at `sums`.
struct sorting_room {
  double *sums;      // [columns]
  float *values;     // [columns]
  float *sorted;     // [columns]
  uint32_t *keys;    // [columns]
  uint32_t *others;  // [columns]
};

// Room for `columns` of each, all 0; sums is NULL if there is no memory. To be freed with free(room.sums).
static inline struct sorting_room make_sorting_room(int64_t columns) {
  const size_t count = (size_t)columns;
  double *sums = calloc(count, sizeof(double) + 2 * sizeof(float) + 2 * sizeof(uint32_t));
  if (sums == NULL) return (struct sorting_room){.sums = NULL};
  float *values = (float *)(void *)(sums + count);
  uint32_t *keys = (uint32_t *)(void *)(values + 2 * count);
  return (struct sorting_room){
    .sums = sums, .values = values, .sorted = values + count, .keys = keys, .others = keys + count};
}

#endif
