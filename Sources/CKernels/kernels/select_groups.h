/*
 * N:M selection: which N of every M consecutive scores are the smallest.
 *
 * Where a tie straddles the boundary the choice is a convention, and on block-quantised weights such ties are common
 * (a tenth of the groups of four in a Q4_1 model). The published methods leave it to torch.topk, which on a CPU calls
 * C++'s nth_element, or partial_sort if N is at most a 64th of M; so that masks agree with theirs bit for bit, the same
 * selection algorithms are run here on groups with such a tie: introselect (Musser 1997) as the GNU C++ library does
 * it, median of three, Hoare partition, insertion sort of the last three, a heap when partitions stay lopsided; and
 * that heap alone for partial_sort.
 */
#include "../kernel.h"
#include "ordered_key.h"

typedef struct {
  uint32_t key;
  uint32_t place;
} keyed;

static void swap(keyed *a, keyed *b) {
  const keyed held = *a;
  *a = *b;
  *b = held;
}

/* Swaps the median of a, b and c into *first. */
static void median_to_first(keyed *first, keyed *a, keyed *b, keyed *c) {
  if (a->key < b->key) swap(first, b->key < c->key ? b : a->key < c->key ? c : a);
  else swap(first, a->key < c->key ? a : b->key < c->key ? c : b);
}

/* Hoare partition of [first, last) around `pivot`, which is bounded by the elements at both ends. */
static keyed *partition(keyed *first, keyed *last, uint32_t pivot) {
  for (;;) {
    while (first->key < pivot) first++;
    do last--;
    while (pivot < last->key);
    if (first >= last) return first;
    swap(first++, last);
  }
}

static void insertion_sort(keyed *first, keyed *last) {
  for (keyed *i = first; i < last; i++) {
    const keyed held = *i;
    keyed *hole = i;
    for (; hole > first && held.key < hole[-1].key; hole--) *hole = hole[-1];
    *hole = held;
  }
}

/* Lets `value` sink from `hole` to the bottom of a heap of n, along the larger children, and rise to its place. */
static void sink(keyed *heap, size_t n, size_t hole, keyed value) {
  const size_t top = hole;
  size_t child = hole;
  while (2 * child + 2 < n) {
    child = 2 * child + 2;
    if (heap[child].key < heap[child - 1].key) child--;
    heap[hole] = heap[child];
    hole = child;
  }
  if (2 * child + 2 == n) {
    heap[hole] = heap[n - 1];
    hole = n - 1;
  }
  for (; hole > top && heap[(hole - 1) / 2].key < value.key; hole = (hole - 1) / 2) heap[hole] = heap[(hole - 1) / 2];
  heap[hole] = value;
}

/* Moves the `count` smallest of [first, last) to the front, the largest of them first: a heap of the smallest so far. */
static void select_by_heap(keyed *first, keyed *last, size_t count) {
  for (size_t parent = count / 2; parent-- > 0;) sink(first, count, parent, first[parent]);
  for (keyed *i = first + count; i < last; i++)
    if (i->key < first->key) {
      const keyed value = *i;
      *i = *first;
      sink(first, count, 0, value);
    }
}

/* Moves the element of rank `nth` to its place, smaller ones before it. */
static void select_nth(keyed *elements, size_t n, size_t nth) {
  keyed *first = elements, *last = elements + n;
  int partitions = 0; /* twice the binary logarithm of n, rounded down */
  for (size_t rest = n; rest > 1; rest /= 2) partitions += 2;
  while (last - first > 3) {
    if (partitions-- == 0) {
      select_by_heap(first, last, (size_t)(elements + nth - first) + 1);
      swap(first, elements + nth);
      return;
    }
    median_to_first(first, first + 1, first + (last - first) / 2, last - 1);
    keyed *cut = partition(first + 1, last, first->key);
    if (cut <= elements + nth) first = cut;
    else last = cut;
  }
  insertion_sort(first, last);
}

static CK_INLINE void select_groups(uint8_t *kept, const float *scores, size_t n, size_t prune, size_t m) {
  keyed group[256];
  for (size_t start = 0; start + m <= n; start += m) {
    for (size_t i = 0; i < m; i++) group[i] = (keyed){ck_ordered_key(scores[start + i]), (uint32_t)i};
    /* A score goes if fewer than `prune` are below it. More than `prune` such scores mean a tie at the boundary. */
    size_t gone = 0;
    uint8_t goes[256];
    for (size_t i = 0; i < m; i++) {
      size_t below = 0;
      for (size_t j = 0; j < m; j++) below += group[j].key < group[i].key;
      goes[i] = below < prune;
      gone += goes[i];
    }
    if (gone == prune) {
      for (size_t i = 0; i < m; i++) kept[(start + i) / 8] &= (uint8_t)~(goes[i] << ((start + i) % 8));
    } else {
      if (prune * 64 <= m) select_by_heap(group, group + m, prune);
      else select_nth(group, m, prune - 1);
      for (size_t i = 0; i < prune; i++) {
        const size_t place = start + group[i].place;
        kept[place / 8] &= (uint8_t)~(1u << (place % 8));
      }
    }
  }
}

void CK(select_groups)(uint8_t *kept, const float *scores, size_t n, size_t prune, size_t m) {
  if (m == 4) select_groups(kept, scores, n, prune, 4); /* the common patterns, unrolled */
  else if (m == 8) select_groups(kept, scores, n, prune, 8);
  else select_groups(kept, scores, n, prune, m);
}
