// selection.h: which are the smallest magnitudes of an array, exactly as many as asked for, without sorting it.
//
// Floats are compared by the bits of their magnitude, which order as the magnitudes do. Of equal ones those that come
// first are taken first, as a stable sort would.

#ifndef ESPALIER_SUPPORT_SELECTION_H
#define ESPALIER_SUPPORT_SELECTION_H

#include <stdlib.h>
#include <string.h>

#include "espalier_plugin.h"

// The bits of |value|.
static inline uint32_t selection_key(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits & 0x7fffffffu;
}

// The one of `keys` that would stand at `k` (from 0) if they were sorted; reorders them. Hoare's quickselect.
static inline uint32_t selection_nth(uint32_t *keys, int64_t n, int64_t k) {
  int64_t low = 0, high = n - 1;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    uint32_t a = keys[low], b = keys[middle], c = keys[high];
    const uint32_t pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
    int64_t i = low, j = high;
    while (i <= j) {
      while (keys[i] < pivot) i++;
      while (keys[j] > pivot) j--;
      if (i <= j) {
        const uint32_t swap = keys[i];
        keys[i++] = keys[j];
        keys[j--] = swap;
      }
    }
    if (k <= j) high = j;
    else if (k >= i) low = i;
    else return keys[k];
  }
  return keys[k];
}

// Writes kept[i] = 0 for the `count` smallest magnitudes of values[n], 1 for the others. `scratch` has room for n keys.
static inline void selection_mark(const float *values, int64_t n, int64_t count, uint32_t *scratch, uint8_t *kept) {
  memset(kept, count >= n ? 0 : 1, (size_t)n);
  if (count <= 0 || count >= n) return;
  if (n <= 16) {  // the groups of patterns
    for (int64_t taken = 0; taken < count; taken++) {
      int64_t least = -1;
      for (int64_t i = 0; i < n; i++) {
        if (kept[i] && (least < 0 || selection_key(values[i]) < selection_key(values[least]))) least = i;
      }
      kept[least] = 0;
    }
    return;
  }
  for (int64_t i = 0; i < n; i++) scratch[i] = selection_key(values[i]);
  const uint32_t threshold = selection_nth(scratch, n, count - 1);
  int64_t ties = count;
  for (int64_t i = 0; i < n; i++) ties -= selection_key(values[i]) < threshold;
  for (int64_t i = 0; i < n; i++) {
    const uint32_t key = selection_key(values[i]);
    if (key < threshold || (key == threshold && ties-- > 0)) kept[i] = 0;
  }
}

// The same of groups of `size` values that follow one another, up to `n` of them, which the size divides.
static inline int32_t selection_mark_groups(const float *values, int64_t n, int64_t size, int64_t count,
                                            uint8_t *kept) {
  uint32_t *scratch = malloc((size_t)size * sizeof *scratch);
  if (scratch == NULL) return ESPALIER_OUT_OF_MEMORY;
  for (int64_t i = 0; i < n; i += size) selection_mark(values + i, size, count, scratch, kept + i);
  free(scratch);
  return ESPALIER_OK;
}

// The same of a column: `n` values that are `stride` apart, in a mask of its own stride.
static inline int32_t selection_mark_column(const float *values, int64_t n, int64_t stride, int64_t count,
                                            uint8_t *kept, int64_t kept_stride) {
  float *column = calloc((size_t)n, sizeof(float) + sizeof(uint32_t) + 1);
  if (column == NULL) return ESPALIER_OUT_OF_MEMORY;
  uint32_t *scratch = (uint32_t *)(column + n);
  uint8_t *marks = (uint8_t *)(scratch + n);
  for (int64_t i = 0; i < n; i++) column[i] = values[i * stride];
  selection_mark(column, n, count, scratch, marks);
  for (int64_t i = 0; i < n; i++) kept[i * kept_stride] = marks[i];
  free(column);
  return ESPALIER_OK;
}

// ---------------------------------------------------------------------------------------------------------------------
// Large arrays, on all threads

// Where the `k` smallest of an array end: `key` would stand at k (from 0) in the sorted array.
struct selection {
  uint32_t key;
  int64_t below;  // keys less than `key`
  int64_t equal;  // keys equal to it
};

#define SELECTION_TILE 65536
#define SELECTION_BINS 4096

struct selection_job {
  const float *values;
  int64_t n;
  uint32_t prefix, prefix_mask;  // only keys with (key & prefix_mask) == prefix count
  int shift;                     // the bin is (key >> shift) modulo the bins
  uint32_t bins;
  uint32_t *counts;  // [tiles, SELECTION_BINS]
};

static inline int32_t selection_tile(void *context, int64_t tile) {
  const struct selection_job *job = context;
  uint32_t *counts = job->counts + tile * SELECTION_BINS;
  memset(counts, 0, SELECTION_BINS * sizeof *counts);
  const int64_t end = (tile + 1) * SELECTION_TILE < job->n ? (tile + 1) * SELECTION_TILE : job->n;
  for (int64_t i = tile * SELECTION_TILE; i < end; i++) {
    const uint32_t key = selection_key(job->values[i]);
    if ((key & job->prefix_mask) == job->prefix) counts[(key >> job->shift) & (job->bins - 1)]++;
  }
  return ESPALIER_OK;
}

// Finds the magnitude that stands at k, 0 <= k < n, by three histograms over the bits of the keys, highest first.
static inline int32_t selection_find(const espalier_host *host, const float *values, int64_t n, int64_t k,
                                     struct selection *found) {
  static const int shifts[] = {19, 7, 0}, widths[] = {12, 12, 7};
  const int64_t tiles = (n + SELECTION_TILE - 1) / SELECTION_TILE;
  struct selection_job job = {.values = values, .n = n};
  job.counts = malloc((size_t)tiles * SELECTION_BINS * sizeof *job.counts);
  if (job.counts == NULL) return ESPALIER_OUT_OF_MEMORY;
  *found = (struct selection){0};
  int32_t status = ESPALIER_OK;
  for (int pass = 0; pass < 3 && status == ESPALIER_OK; pass++) {
    job.shift = shifts[pass];
    job.bins = 1u << widths[pass];
    status = host->parallel_for(host, tiles, selection_tile, &job);
    if (status != ESPALIER_OK) break;
    for (uint32_t bin = 0; bin < job.bins; bin++) {
      int64_t count = 0;
      for (int64_t tile = 0; tile < tiles; tile++) count += job.counts[tile * SELECTION_BINS + bin];
      if (found->below + count <= k) {
        found->below += count;
        continue;
      }
      found->equal = count;
      job.prefix |= bin << job.shift;
      job.prefix_mask |= (job.bins - 1) << job.shift;
      break;
    }
  }
  found->key = job.prefix;
  free(job.counts);
  return status;
}

// The last index whose value may be taken among those equal to the found key so that `count` are taken in all.
static inline int64_t selection_last_tie(const float *values, int64_t n, const struct selection *found, int64_t count) {
  int64_t ties = count - found->below;
  if (ties >= found->equal) return n - 1;
  for (int64_t i = 0; i < n; i++) {
    if (selection_key(values[i]) == found->key && ties-- == 0) return i - 1;
  }
  return n - 1;
}

#endif
