// A student in training: its weights, its optimiser and the passes that move them, one step at a time.

package import Tensors
package import Transformers
import Workspace

/// How a student is trained.
package struct TrainingOptions: Sendable, Equatable {
  package var optimizer = AdamWOptions()
  package var precision = Precision.fp32
  /// Bytes that activations may take; nil keeps those of all layers.
  package var activationBudget: Int?

  package init() {}
}

/// What a step did.
package struct StepReport: Sendable, Equatable {
  /// As it is minimised, in nats, before the step.
  package let loss: Double
  /// Of the whole gradient, before clipping.
  package let gradientNorm: Double
  package let learningRate: Double
  /// Positions that counted.
  package let tokens: Int
}

/// Trains a copy of a model's weights. Pruned weights stay pruned.
///
/// Weights and moments are copied on write: forks and revisions share them until the next step.
package final class Trainer {
  package let transformer: Transformer
  package private(set) var parameters: Parameters
  package private(set) var optimizer: AdamW
  package let options: TrainingOptions
  let compute: Compute
  /// The largest that can be trained on at once.
  private let largest: Batch
  /// Layers that keep their activations whatever the budget.
  private let keptLayers: Range<Int>?
  /// Made when it is first needed: a fork that only waits has none.
  private var workspace: (gradients: ParameterBlock, pass: TrainingPass)?
  /// Whether somebody else holds the weights and the moments too.
  private var isShared = false

  /// - Parameters:
  ///   - batch: the largest that will be trained on at once, in tokens and in length.
  ///   - keptLayers: layers whose activations a lesson looks at.
  package convenience init(
    _ student: ModelState, batch: Batch, keptLayers: Range<Int>? = nil, options: TrainingOptions = TrainingOptions(),
    compute: Compute
  ) {
    let parameters = Parameters(student.transformer, copying: student.revision, pool: compute.pool)
    self.init(
      student.transformer, parameters, AdamW(parameters.layout, options.optimizer), batch: batch,
      keptLayers: keptLayers, options: options, compute: compute)
  }

  init(
    _ transformer: Transformer, _ parameters: Parameters, _ optimizer: AdamW, batch: Batch, keptLayers: Range<Int>?,
    options: TrainingOptions, compute: Compute
  ) {
    self.transformer = transformer
    self.parameters = parameters
    self.optimizer = optimizer
    self.options = options
    self.compute = compute
    self.keptLayers = keptLayers
    largest = batch
  }

  /// The gradients of the last step.
  package var gradients: ParameterBlock { prepared.gradients }

  private var prepared: (gradients: ParameterBlock, pass: TrainingPass) {
    if let workspace { return workspace }
    let budgeted = options.activationBudget.map { ActivationPlan(transformer, batch: largest, budget: $0) }
    var plan = budgeted ?? .keepAll(transformer)
    if let first = keptLayers?.first {
      plan = ActivationPlan(keptLayers: max(plan.keptLayers, transformer.shape.layers - first))
    }
    let made = (
      gradients: ParameterBlock(parameters.layout),
      pass: TrainingPass(transformer, batch: largest, plan: plan, compute: compute, precision: options.precision)
    )
    workspace = made
    return made
  }

  // MARK: Sharing

  /// Another trainer at the same point, which shares all memory until either takes a step.
  package func forked() -> Trainer {
    isShared = true
    let fork = with(parameters, optimizer)
    fork.isShared = true
    return fork
  }

  /// A trainer of the same kind at another point.
  func with(_ parameters: Parameters, _ optimizer: AdamW) -> Trainer {
    Trainer(
      transformer, parameters, optimizer, batch: largest, keptLayers: keptLayers, options: options, compute: compute)
  }

  /// The weights as they are: whoever holds them keeps them, and the next step copies them first.
  package func frozenParameters() -> Parameters {
    isShared = true
    return parameters
  }

  private func unshare() {
    guard isShared else { return }
    parameters = parameters.copied(pool: compute.pool)
    optimizer = optimizer.copied(pool: compute.pool)
    isShared = false
  }

  // MARK: Steps

  /// One optimiser step over `batches` together: gradients add up, and are those of one mean.
  /// - Throws: `Cancelled`, `TrainingError`, `TransformerError`, what the lesson throws. Weights and moments are then as
  ///   before.
  package func step(
    _ batches: [TrainingBatch], lesson: any Lesson, learningRate: Double, cancellation: Cancellation
  ) throws -> StepReport {
    try check(batches)
    let (gradients, pass) = prepared, companion = lesson.companion
    gradients.clear(pool: compute.pool)
    companion?.gradients.clear(pool: compute.pool)
    try lesson.begin(batches)
    for batch in batches {
      let loss = try lesson.loss(batch, cancellation: cancellation)
      try pass.forward(batch.tokens, batch: batch.batch, weights: parameters, cancellation: cancellation)
      try pass.backward(through: loss, weights: parameters, into: gradients, cancellation: cancellation) {
        try lesson.inner(batch, pass: pass, logitLoss: $0, cancellation: cancellation)
      }
    }
    let loss = try lesson.end()
    guard loss.isFinite else { throw TrainingError.nonFiniteLoss(step: optimizer.steps + 1) }
    gradients.apply(parameters.masks, compute: compute)
    let norm = try optimizer.norm(of: [gradients] + (companion.map { [$0.gradients] } ?? []), compute: compute)
    try cancellation.check()
    unshare()
    let scale = optimizer.clipping(norm: norm)
    optimizer.step(parameters, gradients, learningRate: learningRate, scale: scale, compute: compute)
    if let companion {
      companion.optimizer.step(
        companion.parameters, companion.gradients, learningRate: learningRate, scale: scale, compute: compute)
    }
    return StepReport(
      loss: loss, gradientNorm: norm, learningRate: learningRate, tokens: batches.reduce(0) { $0 + $1.counted })
  }

  /// That every batch fits this training.
  private func check(_ batches: [TrainingBatch]) throws {
    guard batches.contains(where: { $0.counted > 0 }) else {
      throw TrainingError.batchInvalid(expected: "tokens of which at least one counts")
    }
    for batch in batches {
      guard batch.batch.length <= largest.length, (1...max(1, largest.tokens)).contains(batch.batch.tokens) else {
        throw TrainingError.batchInvalid(
          expected: "1 to \(largest.tokens) tokens in sequences of \(largest.length) at most, not "
            + "\(batch.batch.tokens) in sequences of \(batch.batch.length)")
      }
      try batch.check(transformer)
    }
  }
}
