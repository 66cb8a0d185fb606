// A step of training that teaches by rewards alone. (Together with objectives of distillation the policy's part is added
// row by row: `PolicyLoss.add`.)

package import Tensors
package import Transformers

/// The policy objective over the sequences of a step.
package final class PolicyLesson: Lesson {
  /// What the step consists of, as `Trainer.step` takes it.
  package let batches: [TrainingBatch]
  /// Of the step so far; of all of it at its end.
  package private(set) var metrics = PolicyMetrics()
  private let rows: [[PolicyToken?]]
  private let options: PolicyOptions
  private var next = 0
  private var current: PolicyLoss?

  /// - Parameters:
  ///   - sequences: of the whole step, whose weights divide by what the whole step is divided by.
  ///   - tokens: that go through the model together at most, unless one sequence has more.
  package init(_ sequences: [PolicySequence], options: PolicyOptions, tokens: Int) {
    self.options = options
    var parts: [[PolicySequence]] = [], room = 0
    for sequence in sequences {
      if parts.isEmpty || sequence.tokens.count > room {
        parts.append([])
        room = tokens
      }
      parts[parts.count - 1].append(sequence)
      room -= sequence.tokens.count
    }
    rows = parts.map { $0.flatMap(\.rows) }
    batches = parts.map { part in
      TrainingBatch(
        lengths: part.map(\.tokens.count), tokens: part.flatMap(\.tokens),
        targets: part.flatMap { $0.rows.map { $0?.token ?? -1 } })
    }
  }

  /// A loss for each batch, for a step of the optimiser.
  func makeLosses() -> [PolicyLoss] { rows.map { PolicyLoss($0, options: options) } }

  package var companion: Companion? { nil }

  package func begin(_ batches: [TrainingBatch]) {
    precondition(batches.map(\.targets) == self.batches.map(\.targets), "a step of other batches than the lesson's")
    next = 0
    metrics = PolicyMetrics()
  }

  package func loss(_ batch: TrainingBatch, cancellation: Cancellation) -> any LogitLoss {
    let loss = PolicyLoss(rows[next], options: options)
    next += 1
    current = loss
    return loss
  }

  package func inner(
    _ batch: TrainingBatch, pass: TrainingPass, logitLoss: Double, cancellation: Cancellation
  ) -> InnerGradients? {
    if let current { metrics += current.metrics }
    return nil
  }

  package func end() -> Double { metrics.loss }
}
