// What a step of training teaches: a loss on the logits of each batch, and gradients on what is inside, if there are
// any.

package import Tensors
package import Transformers

/// Turns batches into losses. Asked for one batch at a time: `loss`, the student's forward pass, its logits backward,
/// `inner`, its layers backward.
package protocol Lesson: AnyObject {
  /// Called when a step begins, with all that it consists of.
  func begin(_ batches: [TrainingBatch]) throws

  /// The loss on the logits of `batch`; its gradients are those of the whole step's mean.
  /// - Throws: `Cancelled`, or what keeps the lesson from being given.
  func loss(_ batch: TrainingBatch, cancellation: Cancellation) throws -> any LogitLoss

  /// Gradients on what `pass` has inside after its forward pass over `batch`; nil for none.
  func inner(
    _ batch: TrainingBatch, pass: TrainingPass, logitLoss: Double, cancellation: Cancellation
  ) throws -> InnerGradients?

  /// The loss of the whole step, once all batches were gone through; in nats, as it is minimised.
  /// - Throws: what forbids the step.
  func end() throws -> Double

  /// What is learned beside the student, with its gradients; nil if nothing is.
  var companion: Companion? { get }
}

/// Parameters that are trained along with a student: projections to a teacher's width.
package final class Companion {
  package let parameters: Parameters
  package let gradients: ParameterBlock
  package let optimizer: AdamW

  package init(_ parameters: Parameters, _ optimizer: AdamW) {
    self.parameters = parameters
    self.optimizer = optimizer
    gradients = ParameterBlock(parameters.layout)
  }
}

/// The mean cross-entropy of the next token.
package final class NextTokenLesson: Lesson {
  private var scale: Float = 0
  private var counted = 0
  private var total = 0.0

  package init() {}

  package var companion: Companion? { nil }

  package func begin(_ batches: [TrainingBatch]) {
    counted = batches.reduce(0) { $0 + $1.counted }
    scale = 1 / Float(counted)
    total = 0
  }

  package func loss(_ batch: TrainingBatch, cancellation: Cancellation) -> any LogitLoss {
    CrossEntropy(targets: batch.targets, scale: scale)
  }

  package func inner(
    _ batch: TrainingBatch, pass: TrainingPass, logitLoss: Double, cancellation: Cancellation
  ) -> InnerGradients? {
    total += logitLoss
    return nil
  }

  package func end() -> Double { total / Double(counted) }
}
