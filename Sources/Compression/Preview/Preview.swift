// What changes would do, without making them: the error of every tensor's output, and what the weights would take.

import OrderedCollections
package import Tensors
import Transformers
package import Workspace

/// Something that could be done to a model.
package enum PreviewedChange: Sendable {
  /// Nil: every tensor loses the same.
  case pruning(PruningPlan, allocation: AllocationRequest? = nil)
  case edits([MaskEdit])

  fileprivate var need: StatisticsNeed {
    switch self {
    case .pruning(let plan, let allocation):
      plan.statistics(hasDataset: true).union(allocation?.statistics ?? .none)
    case .edits: .none
    }
  }
}

/// What would become of a tensor.
package struct TensorPreview: Sendable {
  package let name: String
  package let sparsity: Double
  /// Of its output on the calibration data, as it goes in now.
  package let error: OutputError
  package let bytes: FormBytes
}

/// What a change would do.
package struct ChangePreview: Sendable {
  /// Those that it touches.
  package let tensors: [TensorPreview]
  /// Pruned of all weights of these tensors.
  package let sparsity: Double
  /// Of these tensors together.
  package let error: OutputError
  /// Whether whole heads or neurons would be gone.
  package let cutsUnits: Bool
  /// All tensors of the model.
  package let modelBytes: FormBytes
  /// What decoding a token reads.
  package let bytesPerToken: FormBytes
  package let multiplications: (dense: Int, shrunk: Int)
}

package struct Preview: Sendable {
  /// In the order of the changes.
  package let changes: [ChangePreview]
  /// Layers whose statistics were computed earlier, of those that were needed.
  package let reusedLayers: Int
  package let neededLayers: Int
}

/// What each of `changes` would do to `state`. Errors are exact for the inputs that `dataset` gives the revision as it
/// is: what a change does to the inputs of later layers is not in them.
/// - Throws: `CompressionError`, `TransformerError`, `Cancelled`, or what the methods throw.
package func preview(
  _ state: ModelState, changes: [PreviewedChange], dataset: Dataset, store: StatisticsStore, compute: Compute,
  monitor: Monitor, diagnostics: Diagnostics
) throws -> Preview {
  let touched = try touchedTensors(state, changes)
  let lookFirst = monitor.part(0...0.5)
  let known = try Knowledge(
    state, tensors: touched, need: changes.reduce([.moments, .gram]) { $0.union($1.need) }, dataset: dataset,
    plugin: "prune/preview", store: store, compute: compute, monitor: lookFirst)
  try requireMemory(
    8 * touched.largestElementCount + 4 * compute.pool.threads * 256 * (touched.values.map(\.columns).max() ?? 0),
    for: "Previewing \(touched.count) tensors")
  var measure = ErrorMeasure(state: state, known: known, compute: compute, tensors: touched, diagnostics: diagnostics)
  var previews: [ChangePreview] = []
  for (index, change) in changes.enumerated() {
    let span = 0.5 / Double(changes.count), start = 0.5 + Double(index) * span
    let part = monitor.part(start...min(1, start + span))
    let pruned: OrderedDictionary<String, PrunedTensor> =
      switch change {
      case .edits(let edits): try edit(state, edits, monitor: part).masks.mapValues { PrunedTensor(mask: $0) }
      case .pruning(let plan, let allocation):
        try pruneAtOnce(
          state,
          plan: allocation.map {
            try plan.allocating(
              $0, of: state, dataset: dataset, store: store, compute: compute, monitor: part.part(0...0.1),
              diagnostics: diagnostics)
          } ?? plan,
          dataset: dataset, store: store, compute: compute, monitor: part.part(0.1...0.5), diagnostics: diagnostics
        ).tensors
      }
    previews.append(try measure.preview(pruned, monitor: part.part(0.5...1)))
  }
  return Preview(changes: previews, reusedLayers: known.reusedLayers, neededLayers: known.neededLayers)
}

/// The prunable tensors that one of the changes touches, in the order of computation.
private func touchedTensors(
  _ state: ModelState, _ changes: [PreviewedChange]
) throws -> OrderedDictionary<String, PrunableTensor> {
  var names: Set<String> = []
  for change in changes {
    switch change {
    case .pruning(let plan, _): names.formUnion(plan.tensors.keys)
    case .edits(let edits): names.formUnion(try edit(state, edits).masks.keys)
    }
  }
  return state.prunableTensors.filter { names.contains($0.key) }
}

/// Compares tensors with what they would become.
private struct ErrorMeasure {
  let state: ModelState
  let known: Knowledge
  let compute: Compute
  let tensors: OrderedDictionary<String, PrunableTensor>
  let diagnostics: Diagnostics
  /// ‖WX‖² of tensors that were looked at, for the changes to come.
  private var energies: [String: Double] = [:]
  private let old: FloatBuffer
  private let new: FloatBuffer

  init(
    state: ModelState, known: Knowledge, compute: Compute, tensors: OrderedDictionary<String, PrunableTensor>,
    diagnostics: Diagnostics
  ) {
    self.state = state
    self.known = known
    self.compute = compute
    self.tensors = tensors
    self.diagnostics = diagnostics
    old = FloatBuffer(count: tensors.largestElementCount)
    new = FloatBuffer(count: tensors.largestElementCount)
  }

  mutating func preview(
    _ pruned: OrderedDictionary<String, PrunedTensor>, monitor: Monitor
  ) throws -> ChangePreview {
    let forms = FormCounter(state, masks: pruned.mapValues(\.mask))
    let weights = Edited(state.revision, pruned, biasNames: state.transformer.biasNames)
    var previews: [TensorPreview] = [], prunedWeights = 0, allWeights = 0
    for (name, change) in pruned {
      guard let tensor = tensors[name] else { continue }
      monitor.report(Double(previews.count) / Double(pruned.count), "the output of \(name)")
      let error = try error(of: tensor, as: change, in: weights, cancellation: monitor.cancellation)
      let gone = tensor.elementCount - change.mask.keptCount
      prunedWeights += gone
      allWeights += tensor.elementCount
      previews.append(
        TensorPreview(
          name: name, sparsity: Double(gone) / Double(tensor.elementCount), error: error,
          bytes: forms.bytes(name)))
    }
    return ChangePreview(
      tensors: previews, sparsity: allWeights == 0 ? 0 : Double(prunedWeights) / Double(allWeights),
      error: previews.reduce(OutputError(change: 0, energy: 0)) { $0 + $1.error }, cutsUnits: forms.cutsUnits,
      modelBytes: forms.model, bytesPerToken: forms.perToken, multiplications: forms.multiplications)
  }

  private mutating func error(
    of tensor: PrunableTensor, as change: PrunedTensor, in weights: any WeightSource, cancellation: Cancellation
  ) throws -> OutputError {
    let statistics = try known.statistics(of: tensor).input
    guard let gram = statistics.gram else {
      preconditionFailure("statistics with Gram matrices were asked for")
    }
    statistics.reportDeadInputs(of: tensor.name, to: diagnostics)
    state.revision.tensor(tensor.name).read(rows: 0..<tensor.rows, into: old.pointer, pool: compute.pool)
    let energy =
      try energies[tensor.name]
      ?? outputEnergy(old.pointer, rows: tensor.rows, gram: gram, compute: compute, cancellation: cancellation)
    energies[tensor.name] = energy
    weights.tensor(tensor.name).read(rows: 0..<tensor.rows, into: new.pointer, pool: compute.pool)
    compute.subtract(old.pointer, new.pointer, count: tensor.elementCount)
    let error = OutputError(
      change: try outputChange(
        old.pointer, bias: change.bias, rows: tensor.rows, gram: gram, moments: statistics.moments, compute: compute,
        cancellation: cancellation),
      energy: energy)
    if !(error.relative <= collapse) || change.mask.keptCount == 0 {
      diagnostics.add(
        Diagnostic(
          .warning, kind: "collapsed", tensor: tensor.name,
          "\(tensor.name) would lose its output: the relative squared error is \(error.relative). Prune it less, or "
            + "take a method that gives new weights."))
    }
    return error
  }
}
