// What a step of a run is taught on: sequences of its dataset, text that the student writes, completions that are
// judged.

import Tensors
import Transformers
import Workspace

extension DistillationRun {
  /// The batches of the step that comes, what rewards say of their rows - made anew for each step of the optimiser -
  /// and what there is to tell of the rewards.
  func nextBatches(
    monitor: Monitor, diagnostics: Diagnostics
  ) throws -> (batches: [TrainingBatch], policies: () -> [PolicyLoss], rewards: [LossPart]) {
    if let policy = plan.policy {
      let collector = PolicyCollector(
        plan: policy, student: student, teacher: teacher, tokenizer: tokenizer, compute: compute,
        precision: options.training.precision)
      let first = steps * policy.prompts
      let prompts = (first..<first + policy.prompts).map { dataset.examples[order.sequence(at: $0)] }
      let step = try collector.collect(
        prompts, weights: trainer.parameters, seed: stepSeed, monitor: monitor, diagnostics: diagnostics)
      let lesson = PolicyLesson(step.sequences, options: policy.options, tokens: largest.tokens)
      return (lesson.batches, { lesson.makeLosses() }, step.metrics)
    }
    let first = steps * sequencesPerStep
    var random = SplitMix64(seed: stepSeed ^ 0x6f6e_706f_6c69_6379)
    let batches = try (0..<options.accumulation).map { number in
      let start = first + number * options.batch
      let numbers = (start..<start + options.batch).map { order.sequence(at: $0) }
      let seed = random.next(), point = Double.random(in: 0..<1, using: &random)
      guard let onPolicy = options.onPolicy else { return dataset.trainingBatch(numbers) }
      let progress = Double(steps) / Double(options.schedule.steps)
      switch ownText.choice(point, progress: progress, onPolicy.adaptation) {
      case .dataset: return dataset.trainingBatch(numbers)
      case .written: return TrainingBatch(try write(onPolicy, numbers, seed: seed, monitor: monitor))
      case .remembered:
        var draw = SplitMix64(seed: seed)
        return TrainingBatch(ownText.recalled(options.batch, using: &draw))
      }
    }
    return (batches, { [] }, [])
  }

  /// The student's own continuations, remembered if some of the later batches are to be made of them.
  private func write(
    _ onPolicy: OnPolicy, _ numbers: [Int], seed: UInt64, monitor: Monitor
  ) throws -> [WrittenText] {
    let writer = StudentWriter(
      onPolicy: onPolicy, tokenizer: tokenizer, transformer: student.transformer, compute: compute)
    let texts = try writer.texts(
      continuing: numbers, of: dataset, weights: trainer.parameters, seed: seed,
      monitor: Monitor(cancellation: monitor.cancellation))
    if let adaptation = onPolicy.adaptation { ownText.remember(texts, atMost: adaptation.memory) }
    return texts
  }
}

extension Dataset {
  /// Some of its sequences as a batch.
  func trainingBatch(_ numbers: [Int]) -> TrainingBatch {
    TrainingBatch(
      lengths: numbers.flatMap { segments(ofSequence: $0) }, tokens: numbers.flatMap { tokens(ofSequence: $0) },
      targets: numbers.flatMap { targets(ofSequence: $0) }, dataset: self,
      sequences: numbers.map { DatasetSequence(number: $0, rows: range(ofSequence: $0).count) })
  }
}
