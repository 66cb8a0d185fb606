// How much each tensor loses: pins by name first, the rest shared out by an allocator so that the total holds.

package import OrderedCollections
package import Tensors
package import Workspace

/// What a client said about sharing out the sparsity.
package struct AllocationRequest: Sendable {
  /// Nil shares out evenly.
  package var allocator: Configured<any Allocator>?
  /// Sparsities by glob over tensor names, 0...1; of several that match a tensor the last counts.
  package var pins: [(glob: String, sparsity: Double)] = []
  /// Whether the tensors that are not pinned make up for those that are; otherwise they take the target as it is.
  package var holdsTotal = true
  /// Measured curves by layer.
  package var sensitivity: [Int: SensitivityCurve] = [:]
  /// Digests of the data behind the curves.
  package var sensitivityData: Set<String> = []

  package init() {}

  /// What it needs to know of the model.
  package var statistics: StatisticsNeed {
    guard let allocator, allocator.method.description.measures else { return .none }
    return allocator.method.description.method.statistics
  }
}

/// The target of every tensor of a plan.
/// - Parameter dataset: calibration data; needed if the allocator declares statistics.
/// - Throws: `CompressionError`, `Cancelled`, or what the allocator throws.
package func allocate(
  _ request: AllocationRequest, target: SparsityTarget, tensors: OrderedDictionary<String, PrunableTensor>,
  of state: ModelState, dataset: Dataset?, store: StatisticsStore, compute: Compute, monitor: Monitor,
  diagnostics: Diagnostics
) throws -> [String: SparsityTarget] {
  let pinned = try pinnedSparsities(request.pins, tensors: tensors)
  let free = tensors.filter { pinned[$0.key] == nil }
  if free.isEmpty { reportNothingToShare(request, pinned, target.ratio, tensors, to: diagnostics) }
  let rest = request.holdsTotal ? try ratio(ofRest: free, pinned, target.ratio, tensors) : target.ratio
  var sparsities = pinned
  if let allocator = request.allocator, !free.isEmpty {
    let shares = try Measuring(
      allocator: allocator, state: state, store: store, compute: compute, monitor: monitor, diagnostics: diagnostics
    ).shares(of: free, sensitivity: request.sensitivity, dataset: dataset)
    let values = try allocator.method.allocate(
      shares, total: rest, parameters: allocator.values, monitor: monitor, diagnostics: diagnostics)
    for (tensor, value) in zip(free.keys, values) { sparsities[tensor] = value }
  } else {
    for tensor in free.keys { sparsities[tensor] = rest }
  }
  switch target {
  case .ratio: return sparsities.mapValues { .ratio($0) }
  case .pattern(_, let size):
    return patterns(sparsities, of: size, tensors: tensors, pinned: pinned, holdsTotal: request.holdsTotal)
  }
}

extension PruningPlan {
  /// The same with the targets that `request` gives its tensors.
  /// - Throws: as `allocate`.
  package func allocating(
    _ request: AllocationRequest, of state: ModelState, dataset: Dataset?, store: StatisticsStore, compute: Compute,
    monitor: Monitor, diagnostics: Diagnostics
  ) throws -> PruningPlan {
    var plan = self
    plan.allocation = try allocate(
      request, target: target, tensors: tensors, of: state, dataset: dataset, store: store, compute: compute,
      monitor: monitor, diagnostics: diagnostics)
    return plan
  }
}

private func pinnedSparsities(
  _ pins: [(glob: String, sparsity: Double)], tensors: OrderedDictionary<String, PrunableTensor>
) throws(CompressionError) -> [String: Double] {
  var pinned: [String: Double] = [:]
  for pin in pins {
    guard (0...1).contains(pin.sparsity) else { throw .sparsityInvalid(given: "\(pin.sparsity)") }
    for name in try Glob.names(Array(tensors.keys), matching: [pin.glob]) { pinned[name] = pin.sparsity }
  }
  return pinned
}

/// Says what has no effect because every tensor is pinned.
private func reportNothingToShare(
  _ request: AllocationRequest, _ pinned: [String: Double], _ total: Double,
  _ tensors: OrderedDictionary<String, PrunableTensor>, to diagnostics: Diagnostics
) {
  let (lost, all) = weights(pinned, tensors)
  if request.holdsTotal, abs(lost / all - total) > 1e-9 {
    diagnostics.add(
      Diagnostic(
        .warning, kind: "totalNotHeld",
        "What `modules` pins covers every tensor, so nothing is left to make up for it: they lose \(words(lost / all)) "
          + "together, and not \(total). Pin fewer tensors, or set `holdTotal` to false."))
  }
  if let allocator = request.allocator {
    diagnostics.add(
      Diagnostic(
        .warning, kind: "allocatorUnused",
        "What `modules` pins covers every tensor: \(allocator.id) had nothing to share out."))
  }
}

/// A ratio for people, to six places.
private func words(_ ratio: Double) -> String { "\((ratio * 1e6).rounded() / 1e6)" }

/// Weights that pins take, and all weights.
private func weights(
  _ pinned: [String: Double], _ tensors: OrderedDictionary<String, PrunableTensor>
) -> (lost: Double, all: Double) {
  (
    tensors.values.reduce(0) { $0 + Double($1.elementCount) * (pinned[$1.name] ?? 0) },
    tensors.values.reduce(0) { $0 + Double($1.elementCount) }
  )
}

/// What the tensors that are not pinned must lose so that all together lose `total`.
private func ratio(
  ofRest free: OrderedDictionary<String, PrunableTensor>, _ pinned: [String: Double], _ total: Double,
  _ tensors: OrderedDictionary<String, PrunableTensor>
) throws(CompressionError) -> Double {
  let (lost, all) = weights(pinned, tensors)
  let left = free.values.reduce(0.0) { $0 + Double($1.elementCount) }
  guard left > 0 else { return total }
  let ratio = (total * all - lost) / left
  guard ratio > -1e-9, ratio < 1 + 1e-9 else {
    throw .allocationImpossible(
      reason: "with what `modules` pins, the other tensors would have to lose \(words(ratio)) of their weights for a "
        + "total of \(total). Pin fewer tensors, change the sparsity, or set `holdTotal` to false")
  }
  return min(1, max(0, ratio))
}

extension SparsityTarget {
  /// The fraction of weights that goes.
  package var ratio: Double {
    switch self {
    case .ratio(let ratio): ratio
    case .pattern(let prune, let size): Double(prune) / Double(size)
    }
  }
}

/// N of every `size` for each tensor. Pins take the nearest; the others are rounded so that the total is met as nearly as
/// whole N allow: all down first, then up where most is missing.
/// - Parameter holdsTotal: whether the others make up for the rounding of pins too.
private func patterns(
  _ sparsities: [String: Double], of size: Int, tensors: OrderedDictionary<String, PrunableTensor>,
  pinned: [String: Double], holdsTotal: Bool
) -> [String: SparsityTarget] {
  let isPinned = tensors.keys.map { pinned[$0] != nil }
  let exact = tensors.values.map { (sparsities[$0.name] ?? 0) * Double(size) }
  var counts = zip(exact, isPinned).map { Int($1 ? $0.rounded() : ($0 + 1e-9).rounded(.down)) }
  let elements = tensors.values.map { Double($0.elementCount) / Double(size) }
  var missing = exact.indices.filter { holdsTotal || !isPinned[$0] }.reduce(0.0) { sum, index in
    sum + (exact[index] - Double(counts[index])) * elements[index]
  }
  let order = exact.indices.filter { !isPinned[$0] }.sorted { a, b in
    let (x, y) = (exact[a] - Double(counts[a]), exact[b] - Double(counts[b]))
    return x == y ? a < b : x > y
  }
  for index in order where missing >= elements[index] / 2 && exact[index] > Double(counts[index]) + 1e-9 {
    counts[index] += 1
    missing -= elements[index]
  }
  var targets: [String: SparsityTarget] = [:]
  for (tensor, count) in zip(tensors.keys, counts) {
    targets[tensor] =
      switch count {
      case ...0: .ratio(0)
      case size...: .ratio(1)
      default: .pattern(prune: count, of: size)
      }
  }
  return targets
}

/// Asks an allocator about each layer.
private struct Measuring {
  let allocator: Configured<any Allocator>
  let state: ModelState
  let store: StatisticsStore
  let compute: Compute
  let monitor: Monitor
  let diagnostics: Diagnostics

  func shares(
    of tensors: OrderedDictionary<String, PrunableTensor>, sensitivity: [Int: SensitivityCurve], dataset: Dataset?
  ) throws -> [Share] {
    let description = allocator.method.description
    var measures: [Int: Double] = [:]
    if description.measures {
      let known = try Knowledge(
        state, tensors: tensors, need: description.method.statistics, dataset: dataset, plugin: allocator.id,
        store: store, compute: compute, monitor: monitor)
      for layer in Set(tensors.values.map(\.layer)).sorted() {
        let inLayer = tensors.values.filter { $0.layer == layer }
        try requireMemory(inLayer.reduce(0) { $0 + 4 * $1.elementCount }, for: "Measuring layer \(layer)")
        let weights = inLayer.map { FloatBuffer(count: $0.elementCount) }
        let matrices = try zip(inLayer, weights).map { tensor, buffer in
          state.revision.tensor(tensor.name).read(rows: 0..<tensor.rows, into: buffer.pointer, pool: compute.pool)
          return MatrixInput(tensor, weights: buffer.pointer, statistics: try known.statistics(of: tensor))
        }
        measures[layer] = try withExtendedLifetime(weights) {
          try allocator.method.measure(
            matrices, parameters: allocator.values, monitor: Monitor(cancellation: monitor.cancellation),
            diagnostics: diagnostics)
        }
      }
    }
    return try tensors.values.map { tensor in
      if description.needsSensitivity, sensitivity[tensor.layer] == nil {
        throw CompressionError.allocationImpossible(
          reason: "the allocator \"\(allocator.id)\" needs the measured sensitivity of layer \(tensor.layer); run "
            + "evaluate/sensitivity and give its handle as `sensitivity`")
      }
      return Share(
        tensor: tensor.name, layer: tensor.layer, elements: tensor.elementCount,
        measure: measures[tensor.layer] ?? 0, sensitivity: sensitivity[tensor.layer])
    }
  }
}
