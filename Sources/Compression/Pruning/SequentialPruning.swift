// Pruning layer after layer, each on what the pruned layers before it give.

import OrderedCollections
package import Tensors
import Transformers
package import Workspace

/// Choices of a layer-by-layer run that do not change what it is.
package struct SequentialOptions: Sendable {
  /// What the forward passes are computed in; bf16 is about twice as fast and may turn near-ties.
  package var precision = Precision.fp32
  /// Whether the error of each layer's output is wanted. Without it a layer's last map is left out once.
  package var layerErrors = true

  package init() {}
}

/// Prunes layer by layer: a layer's statistics come from inputs that left the layers already pruned; afterwards its
/// outputs are computed again with the pruned weights. (Frantar & Alistarh 2023, section 3; Sun et al. 2023)
/// - Parameter store: where gradients of the whole model, if the method needs any, are remembered.
/// - Throws: `CompressionError`, `TransformerError`, `Cancelled`, or what the methods throw.
package func pruneSequentially(
  _ state: ModelState, plan: PruningPlan, dataset: Dataset, options: SequentialOptions = SequentialOptions(),
  store: StatisticsStore, compute: Compute, monitor: Monitor, diagnostics: Diagnostics
) throws -> PruningResult {
  guard plan.group != .global else { throw CompressionError.groupNotSequential(group: plan.group.rawValue) }
  for tensor in plan.tensors.values { try plan.target(of: tensor.name).check(tensor) }
  try state.transformer.checkTokens(dataset.tokens, length: dataset.sequenceLength)
  let run = try SequentialRun(
    state, plan: plan, dataset: dataset, options: options, store: store, compute: compute, monitor: monitor,
    diagnostics: diagnostics)
  return try run()
}

/// A run under way.
private final class SequentialRun {
  private let state: ModelState
  private let plan: PruningPlan
  private let dataset: Dataset
  private let options: SequentialOptions
  private let compute: Compute
  private let monitor: Monitor
  private let diagnostics: Diagnostics
  private let need: StatisticsNeed
  private let matrices: MatrixPruning
  private let batches: [Range<Int>]
  private let pass: ForwardPass
  private let gradients: [String: GradientSums]
  /// States of the whole dataset, `[tokens, hiddenSize]` each: entering the layer; leaving it before it is pruned, for the
  /// same input; and leaving it in the model before pruning, if somebody compares with that.
  private let hidden: FloatBuffer
  private let before: FloatBuffer
  private let dense: FloatBuffer?

  private var model: Transformer { state.transformer }
  private var layers: Int { model.shape.layers }

  init(
    _ state: ModelState, plan: PruningPlan, dataset: Dataset, options: SequentialOptions, store: StatisticsStore,
    compute: Compute, monitor: Monitor, diagnostics: Diagnostics
  ) throws {
    self.state = state
    self.plan = plan
    self.dataset = dataset
    self.options = options
    self.compute = compute
    self.diagnostics = diagnostics
    let model = state.transformer
    need = plan.statistics(hasDataset: true)
    let wholeModel = need.contains(.gradients)
    self.monitor = monitor.part(wholeModel ? 0.5...1 : 0...1)
    gradients =
      wholeModel
      ? try gradientSums(
        state, dataset: dataset, tensors: Array(plan.tensors.keys), training: nil, store: store, compute: compute,
        monitor: monitor.part(0...0.5)) : [:]
    let comparesWithDense = need.contains(.crossGram) || plan.blockCompensator != nil
    batches = sequenceBatches(sequences: dataset.sequences, length: dataset.sequenceLength, model: model)
    let largest = Batch(sequences: batches.first?.count ?? 1, length: dataset.sequenceLength)
    let states = 4 * dataset.tokens.count * model.shape.hiddenSize
    try requireMemory(
      (comparesWithDense ? 3 : 2) * states + largest.tokens * model.activationBytesPerToken + plan.newWeightBytes
        + plan.scratchBytes + model.observationBytes(need: need, rows: largest.tokens),
      for: "Pruning layer by layer on \(dataset.sequences) sequences")
    pass = model.makeForwardPass(batch: largest, compute: compute, precision: options.precision)
    hidden = FloatBuffer(count: dataset.tokens.count * model.shape.hiddenSize)
    before = FloatBuffer(count: hidden.count)
    dense = comparesWithDense ? FloatBuffer(count: hidden.count) : nil
    matrices = MatrixPruning(
      plan, of: state.revision, compute: compute, cancellation: monitor.cancellation, diagnostics: diagnostics)
  }

  func callAsFunction() throws -> PruningResult {
    for sequences in batches {
      pass.embed(
        dataset.tokens(ofSequences: sequences), into: place(sequences, in: hidden), batch: batch(sequences),
        weights: state.revision)
    }
    dense?.pointer.update(from: hidden.pointer, count: hidden.count)
    var pruned: OrderedDictionary<String, PrunedTensor> = [:]
    var layerErrors: [Double] = []
    for layer in 0..<layers {
      monitor.report(Double(layer) / Double(layers), "pruning layer \(layer + 1) of \(layers)")
      pruned.merge(try prune(layer: layer, errors: &layerErrors)) { _, new in new }
    }
    let needsNothing = plan.statistics(hasDataset: true) == .none && plan.blockCompensator == nil
    return PruningResult(
      tensors: pruned, layerErrors: options.layerErrors ? layerErrors : nil, neededLayers: needsNothing ? 0 : layers)
  }

  /// Prunes one layer and takes the states through it.
  private func prune(layer: Int, errors: inout [Double]) throws -> OrderedDictionary<String, PrunedTensor> {
    let inputs = model.linearInputs(layer: layer)
    let observer = try LayerObserver(inputs, need: need, compute: compute)
    let weights = decoded(layer, state.revision)
    for sequences in batches {
      let batch = batch(sequences)
      if let dense {
        try pass.layer(
          layer, hidden: place(sequences, in: dense), batch: batch, weights: weights,
          cancellation: monitor.cancellation,
          observer: need.contains(.crossGram) ? { observer.observeDense($0, $1, rows: $2) } : nil)
      }
      compute.copy(
        place(sequences, in: before), from: place(sequences, in: hidden), count: batch.tokens * model.shape.hiddenSize)
      try pass.layer(
        layer, hidden: place(sequences, in: before), batch: batch, weights: weights,
        cancellation: monitor.cancellation,
        observer: { observer.observe($0, $1, rows: $2, sequences: batch.sequences) },
        leavingOutOutput: !options.layerErrors)
    }
    let tensors = plan.tensors.filter { $0.value.layer == layer }
    var pruned: OrderedDictionary<String, PrunedTensor> = [:]
    let regional = try regionalGradients(layer: layer, tensors: Array(tensors.keys))
    for (input, statistics) in zip(inputs, observer.finish()) {
      let readers = input.tensors.compactMap { tensors[$0] }
      guard !readers.isEmpty else { continue }
      statistics.reportDeadInputs(of: readers[0].name, to: diagnostics)
      let site = try matrices.prune(readers, of: state.revision) { tensor in
        MatrixStatistics(
          input: statistics, gradients: gradients[tensor.name], regionalGradients: regional[tensor.name])
      }
      pruned.merge(site) { _, new in new }
    }
    try fitBlock(layer: layer, &pruned)
    let edited = decoded(layer, Edited(state.revision, pruned, biasNames: model.biasNames))
    for sequences in batches {
      try pass.layer(
        layer, hidden: place(sequences, in: hidden), batch: batch(sequences), weights: edited,
        cancellation: monitor.cancellation)
    }
    if options.layerErrors {
      let error = relativeSquaredError(of: hidden, to: before)
      errors.append(error)
      reportCollapse(layer: layer, tensors: pruned.keys, error: error, to: diagnostics)
    }
    return pruned
  }

  /// Gradients of the norm of the block's output on the inputs that it has now, if the method needs them.
  private func regionalGradients(layer: Int, tensors: [String]) throws -> [String: GradientSums] {
    guard need.contains(.regionalGradients), !tensors.isEmpty else { return [:] }
    return try Compression.regionalGradients(
      ofLayer: layer, of: model, entering: hidden.pointer, sequences: dataset.sequences,
      length: dataset.sequenceLength, weights: state.revision, tensors: tensors, compute: compute,
      cancellation: monitor.cancellation)
  }

  /// Fits the block's kept weights by its output in the model before pruning, if the plan says so.
  private func fitBlock(layer: Int, _ pruned: inout OrderedDictionary<String, PrunedTensor>) throws {
    guard let fit = plan.blockCompensator, let dense, !pruned.isEmpty else { return }
    let edited = Edited(state.revision, pruned, biasNames: model.biasNames)
    let region = try BlockRegion(
      model, layer: layer, matrices: Array(pruned.keys), weights: edited, inputs: hidden, targets: dense,
      sequences: dataset.sequences, length: dataset.sequenceLength, compute: compute,
      cancellation: monitor.cancellation)
    let tensors = pruned.keys.compactMap { plan.tensors[$0] }
    // Old and new weights and the masks' bytes.
    try requireMemory(9 * tensors.reduce(0) { $0 + $1.elementCount }, for: "Fitting layer \(layer)")
    let old = tensors.map { FloatBuffer(count: $0.elementCount) }
    let new = tensors.map { FloatBuffer(count: $0.elementCount) }
    let kept = pruned.values.map { KeptBytes($0.mask, pool: compute.pool) }
    var inputs: [MatrixInput] = []
    for (index, tensor) in tensors.enumerated() {
      edited.tensor(tensor.name).read(rows: 0..<tensor.rows, into: old[index].pointer, pool: compute.pool)
      new[index].pointer.update(from: old[index].pointer, count: tensor.elementCount)
      inputs.append(MatrixInput(tensor, weights: old[index].pointer))
    }
    try withExtendedLifetime((kept, old, new)) {
      try fit.method.fit(
        inputs, kept: kept.map { UnsafeBufferPointer($0.values) }, region: region, parameters: fit.values,
        weights: new.map(\.values), monitor: Monitor(cancellation: monitor.cancellation), diagnostics: diagnostics)
    }
    for (index, tensor) in tensors.enumerated() {
      guard let mask = pruned[tensor.name]?.mask else { continue }
      new[index].clear(prunedBy: mask, pool: compute.pool)
      pruned[tensor.name]?.weights = new[index]
    }
  }

  private func decoded(_ layer: Int, _ weights: any WeightSource) -> DecodedLayer {
    DecodedLayer(layer, of: model, weights: weights, batches: batches.count, pool: compute.pool)
  }

  private func batch(_ sequences: Range<Int>) -> Batch {
    Batch(sequences: sequences.count, length: dataset.sequenceLength)
  }

  private func place(_ sequences: Range<Int>, in buffer: FloatBuffer) -> UnsafeMutablePointer<Float> {
    buffer.pointer + sequences.lowerBound * dataset.sequenceLength * model.shape.hiddenSize
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
