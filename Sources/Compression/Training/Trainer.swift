// A student in training: its weights, its optimiser and the passes that move them, one step at a time.

package import Tensors
package import Transformers
import Workspace

/// What a step teaches.
package enum TrainingObjective: Sendable {
  /// The mean cross-entropy of the next token.
  case nextToken
  /// The mean divergence KL(teacher || student) over all positions at a temperature.
  case forwardDivergence(from: ModelState, temperature: Float)
}

/// How a student is trained.
package struct TrainingOptions: Sendable {
  package var optimizer = AdamWOptions()
  package var precision = Precision.fp32
  /// Bytes that activations may take; nil keeps those of all layers.
  package var activationBudget: Int?

  package init() {}
}

/// What a step did.
package struct StepReport: Sendable, Equatable {
  /// Mean over the rows that count, in nats, before the step.
  package let loss: Double
  /// Of the whole gradient, before clipping.
  package let gradientNorm: Double
  package let learningRate: Double
  /// Rows that counted.
  package let rows: Int
}

/// Trains a copy of a model's weights. Pruned weights stay pruned.
package final class Trainer {
  package let transformer: Transformer
  package let parameters: Parameters
  package let gradients: ParameterBlock
  package let optimizer: AdamW
  private let pass: TrainingPass
  /// The largest that can be trained on at once.
  private let largest: Batch
  private let precision: Precision
  private let compute: Compute
  private var teacherMemory: (transformer: Transformer, pass: ForwardPass, hidden: FloatBuffer)?

  /// - Parameter batch: the largest that will be trained on at once.
  package convenience init(
    _ student: ModelState, batch: Batch, options: TrainingOptions = TrainingOptions(), compute: Compute
  ) {
    let parameters = Parameters(student.transformer, copying: student.revision, pool: compute.pool)
    self.init(
      student.transformer, parameters, AdamW(parameters.layout, options.optimizer), batch: batch, options: options,
      compute: compute)
  }

  init(
    _ transformer: Transformer, _ parameters: Parameters, _ optimizer: AdamW, batch: Batch, options: TrainingOptions,
    compute: Compute
  ) {
    self.transformer = transformer
    self.parameters = parameters
    self.optimizer = optimizer
    self.compute = compute
    largest = batch
    precision = options.precision
    gradients = ParameterBlock(parameters.layout)
    let plan = options.activationBudget.map { ActivationPlan(transformer, batch: batch, budget: $0) }
    pass = TrainingPass(
      transformer, batch: batch, plan: plan ?? .keepAll(transformer), compute: compute, precision: precision)
  }

  /// One optimiser step over `batches` together: gradients add up, the mean is over all of their rows.
  /// - Parameters:
  ///   - batches: tokens `[sequences * length]` each.
  ///   - length: of every sequence.
  /// - Throws: `Cancelled`, `TrainingError`, `TransformerError`. Weights and moments are then as before.
  package func step(
    _ batches: [[Int32]], length: Int, objective: TrainingObjective, learningRate: Double, cancellation: Cancellation
  ) throws -> StepReport {
    try check(batches, length: length, objective: objective)
    gradients.clear(pool: compute.pool)
    let rows = batches.reduce(0) { sum, tokens in
      switch objective {
      case .nextToken: sum + tokens.count / length * (length - 1)
      case .forwardDivergence: sum + tokens.count
      }
    }
    var total = 0.0
    for tokens in batches {
      total += try accumulate(
        tokens, length: length, objective: objective, scale: 1 / Float(rows), cancellation: cancellation)
    }
    let norm = try optimizer.step(parameters, gradients, learningRate: learningRate, compute: compute)
    return StepReport(loss: total / Double(rows), gradientNorm: norm, learningRate: learningRate, rows: rows)
  }

  /// That every batch fits this training, and a teacher the student.
  private func check(_ batches: [[Int32]], length: Int, objective: TrainingObjective) throws {
    var shortest = 1, models = [transformer]
    switch objective {
    case .nextToken: shortest = 2
    case .forwardDivergence(let teacher, let temperature):
      let vocabularies = (transformer.shape.vocabularySize, teacher.transformer.shape.vocabularySize)
      guard vocabularies.0 == vocabularies.1 else {
        throw TrainingError.vocabularyMismatch(student: vocabularies.0, teacher: vocabularies.1)
      }
      guard temperature > 0, temperature.isFinite else {
        throw TrainingError.batchInvalid(expected: "a temperature above 0, not \(temperature)")
      }
      models.append(teacher.transformer)
    }
    guard (shortest...max(shortest, largest.length)).contains(length), !batches.isEmpty else {
      throw TrainingError.batchInvalid(
        expected: "batches of sequences of \(shortest) to \(largest.length) tokens, not of \(length)")
    }
    for tokens in batches {
      guard (length...max(length, largest.tokens)).contains(tokens.count), tokens.count % length == 0 else {
        throw TrainingError.batchInvalid(
          expected: "whole sequences of \(length) tokens, \(largest.tokens) tokens at most, not \(tokens.count)")
      }
      for model in models { try model.checkTokens(tokens, length: length) }
    }
  }

  /// Adds the gradient of one batch. Returns the sum of its rows' losses.
  private func accumulate(
    _ tokens: [Int32], length: Int, objective: TrainingObjective, scale: Float, cancellation: Cancellation
  ) throws(Cancelled) -> Double {
    let batch = Batch(sequences: tokens.count / length, length: length)
    let loss: any LogitLoss
    switch objective {
    case .nextToken:
      loss = CrossEntropy(targets: CrossEntropy.nextTokens(tokens, length: length), scale: scale)
    case .forwardDivergence(let teacher, let temperature):
      let logits = try teacherLogits(teacher, tokens, batch: batch, cancellation: cancellation)
      loss = ForwardDivergence(from: logits, temperature: temperature, scale: scale)
    }
    try pass.forward(tokens, batch: batch, weights: parameters, cancellation: cancellation)
    return try pass.backward(through: loss, weights: parameters, into: gradients, cancellation: cancellation)
  }

  private func teacherLogits(
    _ teacher: ModelState, _ tokens: [Int32], batch: Batch, cancellation: Cancellation
  ) throws(Cancelled) -> TeacherLogits {
    let model = teacher.transformer, (_, pass, hidden) = memory(ofTeacher: model)
    pass.embed(tokens, into: hidden.pointer, batch: batch, weights: teacher.revision)
    for layer in 0..<model.shape.layers {
      try pass.layer(
        layer, hidden: hidden.pointer, batch: batch, weights: teacher.revision, cancellation: cancellation)
    }
    return TeacherLogits(
      model, hidden: hidden.pointer, rows: batch.tokens, weights: teacher.revision, compute: compute,
      precision: precision)
  }

  /// The working memory of a teacher's forward pass, kept while the teachers are of one kind.
  private func memory(
    ofTeacher model: Transformer
  ) -> (transformer: Transformer, pass: ForwardPass, hidden: FloatBuffer) {
    if let memory = teacherMemory, memory.transformer == model { return memory }
    let memory = (
      transformer: model, pass: model.makeForwardPass(batch: largest, compute: compute, precision: precision),
      hidden: FloatBuffer(count: largest.tokens * model.shape.hiddenSize)
    )
    teacherMemory = memory
    return memory
  }
}
