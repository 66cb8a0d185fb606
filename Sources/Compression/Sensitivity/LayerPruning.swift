// Pruning one layer at a time, by statistics of the revision as it is: what a sensitivity is measured with.

package import OrderedCollections
import Tensors
import Transformers
package import Workspace

/// How layers are pruned for a sensitivity.
package struct LayerPruningRequest: Sendable {
  package let method: PruningMethod
  /// Not `.global`: layers are pruned one at a time.
  package let group: MaskGroup
  /// What statistics are of; nil for methods that need none.
  package let calibration: Dataset?
  /// What is pruned of each layer.
  let tensors: OrderedDictionary<String, PrunableTensor>

  /// - Parameters:
  ///   - group: nil is the method's own, or the matrix where that is global.
  ///   - tensors: those of a layer are pruned together; layers without one are as they were.
  package init(
    method: PruningMethod, group: MaskGroup?, calibration: Dataset?,
    tensors: OrderedDictionary<String, PrunableTensor>
  ) {
    self.method = method
    self.tensors = tensors
    let own = group ?? method.defaultGroup
    self.group = own == .global ? .matrix : own
    self.calibration = calibration
  }

  /// Whether statistics are needed, as far as the calibration data that there is tells.
  package var need: StatisticsNeed { method.statistics(hasDataset: calibration != nil) }

  /// All that pruning depends on but the ratio: part of the key of tables.
  var words: [String] {
    [method.method.id, method.method.version, group.rawValue]
      + method.parameters.map { "\($0.key) \($0.value)" }
      + (need == .none ? [] : [calibration?.digest ?? ""]) + tensors.keys
  }
}

/// Prunes the tensors of a layer to one ratio.
final class LayerPruning: LayerChange {
  private let state: ModelState
  private let request: LayerPruningRequest
  private let store: StatisticsStore
  private let compute: Compute
  private let diagnostics: Diagnostics
  private var known: Knowledge?

  init(
    _ state: ModelState, _ request: LayerPruningRequest, store: StatisticsStore, compute: Compute,
    diagnostics: Diagnostics
  ) {
    self.state = state
    self.request = request
    self.store = store
    self.compute = compute
    self.diagnostics = diagnostics
  }

  func prepare(layers: [Int], monitor: Monitor) throws {
    let chosen = request.tensors.filter { layers.contains($0.value.layer) }
    known = try Knowledge(
      state, tensors: chosen, need: request.need, dataset: request.calibration, plugin: request.method.method.id,
      store: store, compute: compute, monitor: monitor)
  }

  func weights(layer: Int, sparsity: Double, monitor: Monitor) throws -> (any WeightSource)? {
    guard let known else { preconditionFailure("weights(layer:sparsity:monitor:) before prepare(layers:monitor:)") }
    let own = request.tensors.filter { $0.value.layer == layer }
    let plan = PruningPlan(
      method: request.method, target: try SparsityTarget(ratio: sparsity), group: request.group, tensors: own)
    try requireMemory(plan.newWeightBytes + plan.scratchBytes, for: "Pruning the tensors of layer \(layer)")
    let matrices = MatrixPruning(
      plan, of: state.revision, compute: compute, cancellation: monitor.cancellation, diagnostics: diagnostics)
    var pruned: OrderedDictionary<String, PrunedTensor> = [:]
    for input in state.transformer.linearInputs(layer: layer) {
      let readers = input.tensors.compactMap { own[$0] }
      guard let first = readers.first else { continue }
      try known.statistics(of: first).input.reportDeadInputs(of: first.name, to: diagnostics)
      let site = try matrices.prune(readers, of: state.revision, statistics: known.statistics)
      pruned.merge(site) { _, new in new }
    }
    return Edited(state.revision, pruned, biasNames: state.transformer.biasNames)
  }
}
