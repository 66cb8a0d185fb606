// What is known of a model's loss against (layer, sparsity), kept so that nothing is computed twice.

import OrderedCollections
import Synchronization
import Tensors
import Workspace

/// Everything that the points of a table depend on.
package struct SensitivityKey: Hashable, Sendable {
  /// Of all the model's tensors, in the order of the checkpoint.
  let tensors: [TensorKey]
  /// Digest of the text that losses are of, and the tokens of its windows.
  let dataset: String
  let window: Int
  /// What is done to a layer: the method with all that it is told, or `layer` for leaving it out.
  let change: [String]

  init(_ state: ModelState, windows: DatasetWindows, change: [String]) {
    tensors = state.revision.tensors.values.map(TensorKey.init)
    dataset = windows.dataset.digest
    window = windows.length
    self.change = change
  }
}

/// The loss when one layer is pruned and the others are as they are.
package struct SensitivityPoint: Sendable, Equatable {
  package let layer: Int
  /// 0...1; 1 for a layer that is left out.
  package let sparsity: Double
  /// Nats per predicted token, mean over the windows.
  package let loss: Double

  package init(layer: Int, sparsity: Double, loss: Double) {
    self.layer = layer
    self.sparsity = sparsity
    self.loss = loss
  }
}

/// The points found so far. Grows, and never changes what it holds. Thread-safe.
package final class SensitivityTable: Sendable {
  package let key: SensitivityKey
  private struct Place: Hashable {
    let layer: Int
    let sparsity: Double
  }
  private let state = Mutex<(baseline: Double?, losses: [Place: Double])>((nil, [:]))

  package init(_ key: SensitivityKey) { self.key = key }

  /// The loss of the model as it is; nil until it was computed.
  package var baseline: Double? { state.withLock { $0.baseline } }

  package func loss(layer: Int, sparsity: Double) -> Double? {
    state.withLock { $0.losses[Place(layer: layer, sparsity: sparsity)] }
  }

  /// All points, by layer and then by sparsity.
  package var points: [SensitivityPoint] {
    state.withLock { $0.losses }
      .map { SensitivityPoint(layer: $0.key.layer, sparsity: $0.key.sparsity, loss: $0.value) }
      .sorted { ($0.layer, $0.sparsity) < ($1.layer, $1.sparsity) }
  }

  func remember(baseline: Double) { state.withLock { $0.baseline = baseline } }
  func remember(_ point: SensitivityPoint) {
    state.withLock { $0.losses[Place(layer: point.layer, sparsity: point.sparsity)] = point.loss }
  }

  /// What is known of a layer, from the loss without pruning on; nil until there is that and a point.
  package func curve(layer: Int) -> SensitivityCurve? {
    let points = points.filter { $0.layer == layer && $0.sparsity > 0 }
    guard let baseline, !points.isEmpty else { return nil }
    return SensitivityCurve(sparsities: [0] + points.map(\.sparsity), losses: [baseline] + points.map(\.loss))
  }
  /// The curves of all layers of which something is known.
  package var curves: [Int: SensitivityCurve] {
    let layers = Set(points.map(\.layer))
    return layers.reduce(into: [:]) { curves, layer in curves[layer] = curve(layer: layer) }
  }
}
