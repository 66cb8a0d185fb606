// How good a run's student is on a text that it is not taught, every so many steps.

import Glibc
package import Tensors
import Transformers
package import Workspace

/// When a run's student is validated, and on what.
package struct ValidationPlan: Sendable {
  package let dataset: Dataset
  /// Before the first step, after every so many, and after the last.
  package let everySteps: Int

  package init(_ dataset: Dataset, everySteps: Int) {
    self.dataset = dataset
    self.everySteps = everySteps
  }
}

extension ValidationPlan {
  /// That models can be validated so.
  /// - Throws: `CompressionError` for data that predict nothing, `TransformerError` for tokens or lengths that a model does
  ///   not take.
  func check(_ models: [Transformer]) throws {
    let windows = try DatasetWindows(dataset, length: nil)
    for model in models { try windows.check(model) }
  }
}

/// What a validation found.
package struct Validation: Sendable, Equatable {
  /// Steps that the student had been taught.
  package let step: Int
  /// Mean cross-entropy of the predicted tokens, in nats.
  package let loss: Double
  /// Mean KL(teacher || student) in nats, and the share of tokens of which both find the same most probable; nil without
  /// a teacher of the same vocabulary.
  package let meanKL, sameTopToken: Double?
  /// The share of batches that the student writes from here on, if it adapts.
  package let ownTextShare: Double?

  package var perplexity: Double { exp(loss) }
}

extension DistillationRun {
  /// Whether the student is to be validated before another step is taken.
  package var validationIsDue: Bool {
    guard let plan = options.validation, validation?.step != steps else { return false }
    return steps % plan.everySteps == 0 || steps == options.schedule.steps
  }

  /// Validates the student if it is due, and lets the share of its own text follow.
  /// - Throws: as `evaluateDivergence` and `evaluatePerplexity`; it is then still due.
  package func validate(monitor: Monitor, diagnostics: Diagnostics) throws -> Validation? {
    guard validationIsDue, let data = options.validation?.dataset else { return nil }
    if data.digest == dataset.digest {
      diagnostics.add(
        Diagnostic(
          .information, kind: "calibrationIsEvaluation",
          "The student is validated on the very text that it is taught, which flatters it. Validate on another text."))
    }
    let precision = options.training.precision
    let loss: Double, meanKL: Double?, same: Double?
    if let teacher, teacher.transformer.shape.vocabularySize == student.transformer.shape.vocabularySize {
      let found = try divergence(
        of: EvaluatedModel(transformer: student.transformer, weights: trainer.parameters), from: teacher, dataset: data,
        precision: precision, store: store, compute: compute, monitor: monitor)
      (loss, meanKL, same) = (found.model.nll, found.meanKL, found.sameTopToken)
    } else {
      loss = try perplexity(
        of: EvaluatedModel(transformer: student.transformer, weights: trainer.parameters), dataset: data,
        precision: precision, compute: compute, monitor: monitor
      ).nll
      (meanKL, same) = (nil, nil)
    }
    if let adaptation = options.onPolicy?.adaptation { ownText.adapt(to: loss, adaptation) }
    let result = Validation(
      step: steps, loss: loss, meanKL: meanKL, sameTopToken: same,
      ownTextShare: options.onPolicy?.adaptation == nil ? nil : ownText.share)
    validation = result
    return result
  }
}
