// sensitivity: the sparsities of least predicted loss, from what evaluate/sensitivity measured of each layer.
//
//   minimise sum over layers of loss_l(s_l)      with sum n_l s_l = s sum n_l
//
// loss_l is the lower convex hull of the layer's points, piecewise linear. For such curves the best is to prune where
// the next weight costs least: segments of all layers in the order of their slope per weight, those of equal slope by
// equal fractions, until the total is reached (Lagrangian water-filling; the same as Everett's multipliers, 1963).

#include <math.h>
#include <stdlib.h>

#include "declare.h"
#include "total.h"

// A piece of a layer's hull.
struct segment {
  int64_t layer;   // index of the layer's first share
  double width;    // of sparsity
  double weights;  // width * elements of the layer
  double slope;    // nats per weight
  int beyond;      // 1: what was measured, drawn out
};

static int compare_segments(const void *a, const void *b) {
  const struct segment *x = a, *y = b;
  if (x->beyond != y->beyond) return x->beyond - y->beyond;
  if (x->slope != y->slope) return x->slope < y->slope ? -1 : 1;
  return (x->layer > y->layer) - (x->layer < y->layer);
}

// Fails with ESPALIER_INVALID_ARGUMENT unless the share's points are a curve from 0 on.
static int32_t check_points(const espalier_share *share, espalier_message *message) {
  if (share->point_count < 2 || share->sparsities == NULL || share->losses == NULL || share->sparsities[0] != 0) {
    return refuse(message,
                  "%s comes with %lld measured losses; at least 2 are needed, the first at sparsity 0: run "
                  "evaluate/sensitivity", share->tensor, (long long)share->point_count);
  }
  for (int64_t i = 0; i < share->point_count; i++) {
    const double s = share->sparsities[i];
    if (s >= 0 && s <= 1 && isfinite(share->losses[i]) && (i == 0 || s > share->sparsities[i - 1])) continue;
    return refuse(message,
                  "point %lld of %s is the loss %g at sparsity %g; losses must be finite, sparsities ascend within "
                  "0...1", (long long)i, share->tensor, share->losses[i], s);
  }
  return ESPALIER_OK;
}

// Tensors of one layer share a curve; one outside the layers has its own.
static int same_layer(const espalier_share *a, const espalier_share *b) {
  return a == b || (a->layer >= 0 && a->layer == b->layer);
}

// Writes the segments of the lower convex hull of a share's curve, and one of the last slope up to sparsity 1 if the
// curve ends before; returns how many. `hull` has room for the points.
static int64_t find_segments(const espalier_share *share, int64_t layer, double elements, int64_t *hull,
                             struct segment *segments) {
  const double *s = share->sparsities, *loss = share->losses;
  int64_t size = 0;
  for (int64_t i = 0; i < share->point_count; i++) {
    // The last point of the hull goes while it is not below the line from the one before it to this one.
    while (size >= 2) {
      const int64_t a = hull[size - 2], b = hull[size - 1];
      if ((loss[b] - loss[a]) * (s[i] - s[a]) < (loss[i] - loss[a]) * (s[b] - s[a])) break;
      size--;
    }
    hull[size++] = i;
  }
  for (int64_t k = 0; k + 1 < size; k++) {
    const double width = s[hull[k + 1]] - s[hull[k]];
    segments[k] = (struct segment){layer, width, width * elements,
                                   (loss[hull[k + 1]] - loss[hull[k]]) / (width * elements), 0};
  }
  const double rest = 1 - s[hull[size - 1]];
  if (!(rest > 0)) return size - 1;
  segments[size - 1] = (struct segment){layer, rest, rest * elements, segments[size - 2].slope, 1};
  return size;
}

// Fills segments in their order until `weights` are pruned; those of equal slope by equal fractions.
static void fill(const struct segment *segments, int64_t count, double weights, double *sparsities) {
  for (int64_t first = 0, end; first < count && weights > 0; first = end) {
    double width = 0;
    for (end = first; end < count; end++) {
      const double slope = segments[first].slope, tolerance = 1e-12 * fabs(slope);
      if (segments[end].slope > slope + tolerance || segments[end].beyond != segments[first].beyond) break;
      width += segments[end].weights;
    }
    const double fraction = weights < width ? weights / width : 1;
    for (int64_t k = first; k < end; k++) sparsities[segments[k].layer] += fraction * segments[k].width;
    weights -= fraction * width;
  }
}

static int32_t allocate(const espalier_host *host, const espalier_share *const *shares, int64_t count, double total,
                        const double *parameters, double *sparsities, espalier_message *message) {
  (void)parameters;
  int32_t status = check_total(shares, count, total, message);
  int64_t points = 0, longest = 0;
  for (int64_t i = 0; i < count && status == ESPALIER_OK; i++) {
    status = check_points(shares[i], message);
    points += shares[i]->point_count;
    if (shares[i]->point_count > longest) longest = shares[i]->point_count;
    sparsities[i] = 0;
  }
  if (status != ESPALIER_OK) return status;
  struct segment *segments = malloc((size_t)points * sizeof *segments);
  int64_t *hull = malloc((size_t)longest * sizeof *hull);
  if (segments == NULL || hull == NULL) {
    free(segments);
    free(hull);
    return espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory for the segments of the loss curves");
  }
  int64_t segment_count = 0;
  double all = 0;
  for (int64_t i = 0; i < count; i++) {
    double elements = 0;
    int seen = 0;
    for (int64_t k = 0; k < count; k++) {
      if (!same_layer(shares[i], shares[k])) continue;
      if (k < i) seen = 1;
      elements += (double)shares[k]->elements;
    }
    all += (double)shares[i]->elements;
    if (!seen) segment_count += find_segments(shares[i], i, elements, hull, segments + segment_count);
  }
  qsort(segments, (size_t)segment_count, sizeof *segments, compare_segments);
  fill(segments, segment_count, total * all, sparsities);

  int64_t beyond = 0;
  for (int64_t i = 0; i < count; i++) {
    for (int64_t k = 0; k < i; k++) {
      if (same_layer(shares[i], shares[k])) sparsities[i] = sparsities[k];
    }
    sparsities[i] = fmin(1, fmax(0, sparsities[i]));
    beyond += sparsities[i] > shares[i]->sparsities[shares[i]->point_count - 1] + 1e-9;
  }
  if (beyond > 0) {
    diagnose(host, ESPALIER_LOG_WARNING, "extrapolated", NULL,
             "%lld of %lld tensors lose more than was measured: their last slope was drawn out; measure higher ones",
             (long long)beyond, (long long)count);
  }
  free(segments);
  free(hull);
  return ESPALIER_OK;
}

ALLOCATOR_PLUGIN(
  "sensitivity", "The sparsities of least predicted loss, from measured loss curves of the layers", NULL,
  .statistics = ESPALIER_STATISTICS_NONE, .needs_sensitivity = 1, .allocate = allocate);
