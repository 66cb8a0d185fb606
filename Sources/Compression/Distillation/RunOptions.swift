// How a run is carried out, and what it needs for that.

import Tensors
package import Transformers
package import Workspace

/// How a run is carried out.
package struct RunOptions: Sendable {
  package var training = TrainingOptions()
  package var schedule: Schedule
  /// Sequences of the dataset that go through the models at once, and how often that is done for a step.
  package var batch: Int
  package var accumulation: Int
  package var seed: UInt64
  package var isShuffled = true
  package var teacherMemory = TeacherMemory.fp32
  /// A step whose loss is more than this many times the recent mean, and more than a nat above it, is refused; nil
  /// refuses none.
  package var explosion: Double? = 4
  /// How a part of the batches is written by the student; nil for none.
  package var onPolicy: OnPolicy?
  /// Nil: the student is not validated.
  package var validation: ValidationPlan?

  package init(schedule: Schedule, batch: Int, accumulation: Int, seed: UInt64) {
    self.schedule = schedule
    self.batch = batch
    self.accumulation = accumulation
    self.seed = seed
  }
}

extension RunOptions {
  /// The largest batch that goes through the models at once.
  func largestBatch(_ plan: LossPlan, dataset: Dataset) -> Batch {
    let prompt = dataset.examples.map(\.promptTokens.count).max() ?? 0
    var length = dataset.sequenceLength
    if let policy = plan.policy { length = max(length, prompt + policy.maximumTokens) }
    if let onPolicy { length = max(length, (prompt > 0 ? prompt : onPolicy.promptTokens) + onPolicy.maximumTokens) }
    return Batch(sequences: batch, length: length)
  }
}

/// Bytes that a run takes at most beside the models: weights, gradients and moments of the student, activations and
/// logits.
package func runBytes(
  student: Transformer, teacher: Transformer?, plan: LossPlan, options: RunOptions, dataset: Dataset, threads: Int
) -> Int {
  let batch = options.largestBatch(plan, dataset: dataset)
  let state = 4 * 4 * ParameterLayout(student).count
  let kept = options.training.activationBudget == nil ? student.shape.layers * student.keptBytesPerToken : 0
  let budget = options.training.activationBudget ?? 0
  let activations = batch.tokens * (student.trainingBytesPerToken + kept) + budget
  let looking = batch.tokens * (teacher.map { $0.activationBytesPerToken + 8 * $0.shape.hiddenSize } ?? 0)
  let logits = (64 << 20) + threads * 6 * 4 * student.shape.vocabularySize
  return state + activations + looking + logits
}
