/*
 * Finding the smallest scores of a row, of groups of M, or (with histograms that the caller adds up) of a whole
 * tensor or model, exactly and stably: among equal scores the first ones are pruned first.
 * All comparisons are on ordered keys (ordered_key.h).
 */
#include "../kernel.h"
#include "ordered_key.h"

int CK(range)(float *minimum, float *maximum, double *sum, const float *values, size_t n) {
  float low = n ? values[0] : 0, high = low;
  double total = 0;
  int nan = 0;
  for (size_t start = 0; start < n; start += 1024) { /* short runs in float lanes, their total in double */
    const size_t end = start + 1024 < n ? start + 1024 : n;
    float lows[CK_LANES], highs[CK_LANES], lanes[CK_LANES];
    for (int l = 0; l < CK_LANES; l++) lows[l] = low, highs[l] = high, lanes[l] = 0;
    size_t i = start;
    for (; i + CK_LANES <= end; i += CK_LANES)
      for (int l = 0; l < CK_LANES; l++) {
        const float value = values[i + l];
        lows[l] = value < lows[l] ? value : lows[l];
        highs[l] = value > highs[l] ? value : highs[l];
        lanes[l] += value;
        nan |= value != value;
      }
    for (; i < end; i++) {
      lows[0] = values[i] < lows[0] ? values[i] : lows[0];
      highs[0] = values[i] > highs[0] ? values[i] : highs[0];
      lanes[0] += values[i];
      nan |= values[i] != values[i];
    }
    for (int l = 0; l < CK_LANES; l++) {
      low = lows[l] < low ? lows[l] : low;
      high = highs[l] > high ? highs[l] : high;
      total += (double)lanes[l];
    }
  }
  *minimum = low, *maximum = high, *sum = total;
  return nan;
}

/* The key of rank `rank` (0-based, below n): bisection over the keys' values. Counting is branch-free, so that some
 * thirty passes over a row cost less than the mispredicted branches of one quickselect. */
static CK_INLINE uint32_t key_of_rank(const uint32_t *keys, size_t n, size_t rank) {
  uint32_t low = UINT32_MAX, high = 0;
  for (size_t i = 0; i < n; i++) {
    low = keys[i] < low ? keys[i] : low;
    high = keys[i] > high ? keys[i] : high;
  }
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    uint32_t count = 0; /* of keys <= middle; n < 2^32 */
    for (size_t i = 0; i < n; i++) count += keys[i] <= middle;
    if (count > rank) high = middle;
    else low = middle + 1;
  }
  return low;
}

static inline void clear_bit(uint8_t *kept, size_t i) { kept[i / 8] &= (uint8_t)~(1u << (i % 8)); }

void CK(select_below)(uint8_t *kept, const float *scores, size_t n, uint32_t threshold, uint64_t *ties) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    uint32_t below = 0, equal = 0;
    for (uint32_t bit = 0; bit < 8; bit++) {
      const uint32_t key = ck_ordered_key(scores[i + bit]);
      below |= (uint32_t)(key < threshold) << bit;
      equal |= (uint32_t)(key == threshold) << bit;
    }
    for (; equal && *ties; equal &= equal - 1, --*ties) below |= equal & (~equal + 1);
    kept[i / 8] &= (uint8_t)~below;
  }
  for (; i < n; i++) {
    const uint32_t key = ck_ordered_key(scores[i]);
    if (key < threshold) clear_bit(kept, i);
    else if (key == threshold && *ties) clear_bit(kept, i), --*ties;
  }
}

uint64_t CK(select_ties)(const float *scores, size_t n, uint32_t threshold) {
  uint64_t count = 0;
  for (size_t i = 0; i < n; i++) count += ck_ordered_key(scores[i]) == threshold;
  return count;
}

void CK(select_row)(uint8_t *kept, const float *scores, size_t n, size_t prune, uint32_t *keys) {
  if (prune == 0) return;
  if (prune >= n) {
    for (size_t i = 0; i < n; i++) clear_bit(kept, i);
    return;
  }
  for (size_t i = 0; i < n; i++) keys[i] = ck_ordered_key(scores[i]);
  const uint32_t threshold = key_of_rank(keys, n, prune - 1);
  uint64_t below = 0;
  for (size_t i = 0; i < n; i++) below += ck_ordered_key(scores[i]) < threshold;
  uint64_t ties = prune - below;
  CK(select_below)(kept, scores, n, threshold, &ties);
}

void CK(select_columns)(uint8_t *kept, const float *scores, size_t rows, size_t columns, size_t row_bytes,
                        size_t prune, uint32_t *keys) {
  if (prune == 0) return;
  for (size_t block = 0; block < columns; block += CK_COLUMN_BLOCK) {
    const size_t width = columns - block < CK_COLUMN_BLOCK ? columns - block : CK_COLUMN_BLOCK;
    for (size_t r = 0; r < rows; r++)
      for (size_t c = 0; c < width; c++) keys[c * rows + r] = ck_ordered_key(scores[r * columns + block + c]);
    uint32_t thresholds[CK_COLUMN_BLOCK] = {0}, ties[CK_COLUMN_BLOCK] = {0}; /* a threshold of 0 prunes nothing */
    for (size_t c = 0; c < width; c++) {
      const uint32_t *column = keys + c * rows;
      const uint32_t threshold = key_of_rank(column, rows, (prune < rows ? prune : rows) - 1);
      uint32_t below = 0;
      for (size_t r = 0; r < rows; r++) below += column[r] < threshold;
      thresholds[c] = threshold;
      ties[c] = (uint32_t)(prune < rows ? prune : rows) - below;
    }
    for (size_t r = 0; r < rows; r++) { /* all columns of the block at once: branch-free */
      uint32_t pruned[CK_COLUMN_BLOCK], bits = 0;
      float row[CK_COLUMN_BLOCK] = {0};
      for (size_t c = 0; c < width; c++) row[c] = scores[r * columns + block + c];
      for (size_t c = 0; c < CK_COLUMN_BLOCK; c++) {
        const uint32_t key = ck_ordered_key(row[c]);
        const uint32_t tied = (key == thresholds[c]) & (ties[c] > 0);
        ties[c] -= tied;
        pruned[c] = (uint32_t)(key < thresholds[c]) | tied;
      }
      for (size_t c = 0; c < CK_COLUMN_BLOCK; c++) bits |= pruned[c] << c;
      uint8_t *place = kept + r * row_bytes + block / 8;
      place[0] &= (uint8_t)~bits;
      if (width > 8) place[1] &= (uint8_t)~(bits >> 8);
    }
  }
}

void CK(select_coarse)(uint32_t *histogram, const float *scores, size_t n) {
  for (size_t i = 0; i < n; i++) histogram[ck_ordered_key(scores[i]) >> 16]++;
}

void CK(select_fine)(uint32_t *histogram, const float *scores, size_t n, uint32_t bucket) {
  for (size_t start = 0; start < n; start += CK_LANES) { /* most runs hold nothing of the bucket */
    const size_t end = start + CK_LANES < n ? start + CK_LANES : n;
    uint32_t found = 0;
    for (size_t i = start; i < end; i++) found |= ck_ordered_key(scores[i]) >> 16 == bucket;
    if (!found) continue;
    for (size_t i = start; i < end; i++) {
      const uint32_t key = ck_ordered_key(scores[i]);
      if (key >> 16 == bucket) histogram[key & 0xffff]++;
    }
  }
}
