// Gradients of the model's loss in its weight matrices, summed over the sequences of a calibration dataset.

import OrderedCollections
package import Tensors
import Transformers
package import Workspace

/// For each sequence the gradient g of its mean next-token cross-entropy: the sums of g and of g², and with `training`,
/// where each sequence makes a step, the sum of w_t g_t with the weights before the step. (Molchanov et al. 2019,
/// arXiv 1906.10771; Sanh et al. 2020, arXiv 2005.07683)
///
/// Weights that the revision's masks prune have no gradient and stay pruned.
/// - Parameters:
///   - tensors: names of tensors that the model computes with.
///   - training: nil leaves the weights as they are; each sequence is looked at once.
/// - Returns: the sums of each of `tensors`.
/// - Throws: `CompressionError`, `TransformerError`, `TrainingError`, `Cancelled`.
package func gradientSums(
  _ state: ModelState, dataset: Dataset, tensors: [String], training: GradientTraining? = nil, store: StatisticsStore,
  compute: Compute, monitor: Monitor
) throws -> [String: GradientSums] {
  if let training, training.steps < 1 || !(training.learningRate >= 0) || !training.learningRate.isFinite {
    throw TrainingError.scheduleInvalid(
      expected: "at least one step and a finite learning rate of at least 0, not \(training.steps) and "
        + "\(training.learningRate)")
  }
  let model = state.transformer, layout = ParameterLayout(model)
  if let unknown = tensors.first(where: { layout.entries[$0] == nil }) {
    throw CompressionError.tensorNotFound(name: unknown, nearest: [])
  }
  let key = KeyChains(state, dataset: dataset).wholeModel
  var found: [String: GradientSums] = [:]
  for name in tensors {
    found[name] = store.value(.gradients(key, tensor: name, training: training))?.gradients
  }
  let missing = tensors.filter { found[$0] == nil }
  if missing.isEmpty { return found }
  let summing = GradientSumming(state, dataset: dataset, layout: layout, compute: compute, monitor: monitor)
  for (name, sums) in try summing.sums(of: missing, training: training) {
    store.remember(.gradients(sums), for: .gradients(key, tensor: name, training: training))
    found[name] = sums
  }
  return found
}

/// One run over a dataset.
private struct GradientSumming {
  private let state: ModelState
  private let dataset: Dataset
  private let layout: ParameterLayout
  private let compute: Compute
  private let monitor: Monitor

  /// What activations may take before layers compute theirs again.
  private static let activationBytes = 1 << 30

  init(_ state: ModelState, dataset: Dataset, layout: ParameterLayout, compute: Compute, monitor: Monitor) {
    self.state = state
    self.dataset = dataset
    self.layout = layout
    self.compute = compute
    self.monitor = monitor
  }

  func sums(of names: [String], training: GradientTraining?) throws -> [String: GradientSums] {
    let model = state.transformer, length = dataset.sequenceLength, batch = Batch(sequences: 1, length: length)
    try model.checkTokens(dataset.tokens, length: length)
    let plan = ActivationPlan(model, batch: batch, budget: Self.activationBytes)
    try requireRoom(names, training: training, plan: plan, batch: batch)

    let gradients = ParameterBlock(layout)
    let accumulator = GradientAccumulator(
      names, layout: layout, isTraining: training != nil, compute: compute)
    let mover = training.map { WeightMover($0, copying: state, compute: compute) }
    let weights: any WeightSource = mover?.parameters ?? state.revision
    let masks = state.revision.masks(of: layout)
    let pass = TrainingPass(model, batch: batch, plan: plan, compute: compute)
    let steps = training?.steps ?? dataset.sequences
    for step in 0..<steps {
      monitor.report(Double(step) / Double(steps), "gradients, sequence \(step + 1) of \(steps)")
      try monitor.checkCancelled()
      let sequence = step % dataset.sequences, tokens = dataset.tokens(ofSequences: sequence..<sequence + 1)
      gradients.clear(pool: compute.pool)
      let loss = CrossEntropy(
        targets: CrossEntropy.nextTokens(tokens, length: length), scale: 1 / Float(length - 1))
      try pass.forward(tokens, batch: batch, weights: weights, cancellation: monitor.cancellation)
      let total = try pass.backward(
        through: loss, weights: weights, into: gradients, cancellation: monitor.cancellation)
      guard total.isFinite else { throw CompressionError.nonFiniteLoss(window: sequence) }
      gradients.apply(masks, compute: compute)
      guard compute.sumOfSquares(gradients.values.pointer, count: gradients.values.count).isFinite else {
        throw TrainingError.nonFiniteGradient(step: step + 1)
      }
      accumulator.add(gradients, weights: mover?.parameters.block)
      try mover?.step(gradients)
    }
    return accumulator.sums(steps: training?.steps ?? 0)
  }

  private func requireRoom(
    _ names: [String], training: GradientTraining?, plan: ActivationPlan, batch: Batch
  ) throws(CompressionError) {
    let model = state.transformer
    let perParameter: Int =
      switch training?.optimizer {
      case nil: 4  // the gradients
      case .sgd: 8
      case .adamW: 16
      }
    let elements = names.reduce(0) { $0 + (layout.entries[$1]?.count ?? 0) }
    let sums = GradientAccumulator.bytes(elements: elements, isTraining: training != nil)
    let activations = batch.tokens * (model.trainingBytesPerToken + plan.keptLayers * model.keptBytesPerToken)
    let logits = min(8 * batch.tokens * model.shape.vocabularySize, 128 << 20)
    try requireMemory(
      perParameter * layout.count + sums + activations + logits, for: "Summing gradients of \(names.count) tensors")
  }
}

/// Moves a copy of a model's weights against gradients.
private struct WeightMover {
  let parameters: Parameters
  private let training: GradientTraining
  private let optimizer: AdamW?
  private let compute: Compute

  init(_ training: GradientTraining, copying state: ModelState, compute: Compute) {
    parameters = Parameters(state.transformer, copying: state.revision, pool: compute.pool)
    self.training = training
    self.compute = compute
    optimizer = training.optimizer == .adamW ? AdamW(parameters.layout) : nil
  }

  /// - Parameter gradients: masked.
  func step(_ gradients: ParameterBlock) throws(TrainingError) {
    if let optimizer {
      let norm = try optimizer.norm(of: [gradients], compute: compute)
      optimizer.step(
        parameters, gradients, learningRate: training.learningRate, scale: optimizer.clipping(norm: norm),
        compute: compute)
    } else {
      compute.add(
        parameters.block.values.pointer, gradients.values.pointer, times: -Float(training.learningRate),
        count: gradients.values.count)
    }
  }
}

extension WeightSource {
  /// The masks over the tensors of a layout.
  func masks(of layout: ParameterLayout) -> [String: MaskBits] {
    var masks: [String: MaskBits] = [:]
    for name in layout.entries.keys { masks[name] = tensor(name).mask }
    return masks
  }
}
