// Whole pruning runs: scores into masks in one pass, or layer after layer on what the pruned layers before give.

package import OrderedCollections
package import Tensors
import Transformers
package import Workspace

/// How a run prunes.
package struct PruningPlan: Sendable {
  package let criterion: Criterion
  package let target: SparsityTarget
  package let group: MaskGroup
  package let tensors: OrderedDictionary<String, PrunableTensor>

  package init(
    criterion: Criterion, target: SparsityTarget, group: MaskGroup,
    tensors: OrderedDictionary<String, PrunableTensor>
  ) {
    self.criterion = criterion
    self.target = target
    self.group = group
    self.tensors = tensors
  }
}

/// New masks, and what they do to each layer.
package struct PruningResult: Sendable {
  package let masks: OrderedDictionary<String, MaskBits>
  /// ‖pruned - dense‖² / ‖dense‖² of each layer's output, given the same input from the pruned layers before; known
  /// for sequential runs only.
  package let layerErrors: [Double]?
}

/// Scores all tensors on the revision as it is and masks them.
/// - Throws: `CompressionError`, `TransformerError`, `Cancelled`, or what the selector throws.
package func pruneAtOnce(
  _ state: ModelState, plan: PruningPlan, dataset: Dataset?, cache: CalibrationCache, compute: Compute,
  monitor: Monitor, diagnostics: Diagnostics
) throws -> PruningResult {
  let (scores, _) = try scoreMatrices(
    state, tensors: plan.tensors, criterion: plan.criterion, dataset: dataset, cache: cache, compute: compute,
    monitor: monitor.part(0...0.9), diagnostics: diagnostics)
  let masks = try selectMasks(
    scores, target: plan.target, group: plan.group, pool: compute.pool, monitor: monitor)
  return PruningResult(masks: masks, layerErrors: nil)
}

/// Prunes layer by layer: a layer's statistics come from inputs that left the layers already pruned; afterwards its
/// outputs are computed again with the pruned weights. (Frantar & Alistarh 2023, section 3; Sun et al. 2023)
/// - Throws: `CompressionError`, `TransformerError`, `Cancelled`, or what the selector throws.
package func pruneSequentially(
  _ state: ModelState, plan: PruningPlan, dataset: Dataset, compute: Compute, monitor: Monitor, diagnostics: Diagnostics
) throws -> PruningResult {
  guard plan.group != .global else { throw CompressionError.groupNotSequential(group: plan.group.rawValue) }
  let model = state.transformer, channels = model.shape.hiddenSize
  try model.checkTokens(dataset.tokens, length: dataset.sequenceLength)
  let batches = sequenceBatches(sequences: dataset.sequences, length: dataset.sequenceLength, model: model)
  let largest = Batch(sequences: batches.first?.count ?? 1, length: dataset.sequenceLength)
  try requireMemory(
    2 * 4 * dataset.tokens.count * channels + largest.tokens * model.activationBytesPerToken,
    for: "Pruning layer by layer on \(dataset.sequences) sequences")
  let pass = model.makeForwardPass(batch: largest, compute: compute)
  let hidden = FloatBuffer(count: dataset.tokens.count * channels)  // of the whole dataset, entering the layer
  let dense = FloatBuffer(count: dataset.tokens.count * channels)  // leaving the layer before it is pruned
  let scratch = FloatBuffer(count: plan.tensors.largestElementCount)
  for sequences in batches {
    pass.embed(
      dataset.tokens(ofSequences: sequences),
      into: hidden.pointer + sequences.lowerBound * dataset.sequenceLength * channels,
      batch: Batch(sequences: sequences.count, length: dataset.sequenceLength), weights: state.revision)
  }
  func run(layer: Int, on buffer: FloatBuffer, weights: any WeightSource, observer: MomentsObserver?) throws {
    for sequences in batches {
      let batch = Batch(sequences: sequences.count, length: dataset.sequenceLength)
      try pass.layer(
        layer, hidden: buffer.pointer + sequences.lowerBound * dataset.sequenceLength * channels, batch: batch,
        weights: weights, cancellation: monitor.cancellation,
        observer: observer.map { observer in
          { observer.observe($0, $1, rows: $2, sequences: batch.sequences) }
        })
    }
  }

  var masks: OrderedDictionary<String, MaskBits> = [:]
  var layerErrors: [Double] = []
  for layer in 0..<model.shape.layers {
    monitor.report(Double(layer) / Double(model.shape.layers), "pruning layer \(layer + 1) of \(model.shape.layers)")
    let tensors = plan.tensors.filter { $0.value.layer == layer }
    let inputs = model.linearInputs(layer: layer)
    let observer = MomentsObserver(inputs, compute: compute)
    dense.pointer.update(from: hidden.pointer, count: hidden.count)
    try run(layer: layer, on: dense, weights: state.revision, observer: observer)

    var scores: OrderedDictionary<String, ScoreMatrix> = [:]
    for tensor in tensors.values {
      let site = inputs.firstIndex { $0.tensors.contains(tensor.name) }
      let need = plan.criterion.statistics(hasDataset: true)
      let moments = need.contains(.moments) ? site.map { observer.moments[$0] } : nil
      scores[tensor.name] = try plan.criterion.score(
        tensor, of: state.revision, statistics: MatrixStatistics(input: InputStatistics(moments: moments)),
        scratch: scratch, compute: compute, monitor: Monitor(cancellation: monitor.cancellation),
        diagnostics: diagnostics)
    }
    let layerMasks = try selectMasks(
      scores, target: plan.target, group: plan.group, pool: compute.pool, monitor: monitor)
    masks.merge(layerMasks) { _, new in new }
    try run(layer: layer, on: hidden, weights: Remasked(base: state.revision, masks: layerMasks), observer: nil)
    layerErrors.append(relativeSquaredError(of: hidden, to: dense))
  }
  return PruningResult(masks: masks, layerErrors: layerErrors)
}

/// A revision's weights under other masks.
private struct Remasked: WeightSource {
  let base: any WeightSource
  let masks: OrderedDictionary<String, MaskBits>

  func tensor(_ name: String) -> MaskedTensor {
    let tensor = base.tensor(name)
    return masks[name].map { MaskedTensor(weights: tensor.weights, mask: $0) } ?? tensor
  }
}

/// ‖a - b‖² / ‖b‖², summed in double.
private func relativeSquaredError(of a: FloatBuffer, to b: FloatBuffer) -> Double {
  var difference = 0.0, norm = 0.0
  for (x, y) in zip(a.readOnly, b.readOnly) {
    difference += (Double(x) - Double(y)) * (Double(x) - Double(y))
    norm += Double(y) * Double(y)
  }
  return norm > 0 ? difference / norm : 0
}
