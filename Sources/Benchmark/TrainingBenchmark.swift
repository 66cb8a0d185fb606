// Training, against what matrix products reach at the same moment: forward and backward alone, and a whole step of
// distillation (teacher forward, student forward and backward, divergence on all logits, AdamW).

import Compression
import Glibc
import PluginHost
import Tensors
import Transformers
import Workspace

func trainingFigures(_ subject: Subject, recomputing: Bool) throws -> [Figure] {
  try backwardFigures(subject, recomputing) + stepFigures(subject, recomputing, .fp32, "fp32", "")
    + stepFigures(subject, recomputing, .bf16, "bf16", "BF16")
}

/// The backward pass by itself: from the loss to the gradients of all parameters.
private func backwardFigures(_ subject: Subject, _ recomputing: Bool) throws -> [Figure] {
  let model = subject.model, batch = subject.batch, compute = subject.compute, cancellation = Cancellation()
  let parameters = Parameters(model, copying: subject.state.revision, pool: compute.pool)
  let gradients = ParameterBlock(parameters.layout)
  let pass = TrainingPass(
    model, batch: batch, plan: recomputing ? .recomputeAll : .keepAll(model), compute: compute)
  let targets = CrossEntropy.nextTokens(subject.tokens, length: batch.length)
  var each: [Double] = [], ceilings: [Double] = []
  for _ in 0..<3 {
    ceilings.append(compute.productRate(.fp32))
    try pass.forward(subject.tokens, batch: batch, weights: parameters, cancellation: cancellation)
    each.append(
      try seconds {
        try pass.backward(
          through: CrossEntropy(targets: targets, scale: 1 / Float(batch.tokens)), weights: parameters,
          into: gradients, cancellation: cancellation)
      })
  }
  // Two products for each of the forward pass's in the blocks; the head is computed here both ways.
  let operations = 2 * model.blockOperations(batch: batch) + 3 * model.headOperations(rows: batch.tokens)
  let once = median(each)
  return [
    Figure(
      "backwardTokensPerSecond", "backward fp32", Double(batch.tokens) / once, "tokens/s",
      note: "with the logits both ways; median of \(each.count)"),
    Figure(
      "backwardShareOfMatrixProduct", "", 100 * operations / once / median(ceilings), "%",
      note: "of the matrix product in fp32 beside it"),
  ]
}

private func stepFigures(
  _ subject: Subject, _ recomputing: Bool, _ precision: Precision, _ name: String, _ suffix: String
) throws -> [Figure] {
  let batch = subject.batch, compute = subject.compute
  var options = TrainingOptions()
  options.precision = precision
  if recomputing { options.activationBudget = 0 }
  let trainer = Trainer(subject.state, batch: batch, options: options, compute: compute)
  let ceiling = { compute.productRate(precision) }
  func measure(_ lesson: any Lesson) throws -> (seconds: Double, ceiling: Double, count: Int) {
    try repeated(for: subject.seconds, ceiling: ceiling) {
      _ = try trainer.step(
        [TrainingBatch(subject.tokens, length: batch.length)], lesson: lesson, learningRate: 1e-5,
        cancellation: Cancellation())
    }
  }
  let plain = try measure(NextTokenLesson())
  let distilling = try stepsOfRun(subject, options: options, ceiling: ceiling)

  // Backward takes two products for each of the forward pass's; the teacher has no backward pass.
  let forward = subject.model.blockOperations(batch: batch) + subject.model.headOperations(rows: batch.tokens)
  let rate = 4 * forward / distilling.seconds
  let conditions = "\(batch.sequences) x \(batch.length)" + (recomputing ? ", activations computed again" : "")
  return [
    Figure(
      "trainingTokensPerSecond\(suffix)", "training step \(name), \(conditions)", Double(batch.tokens) / plain.seconds,
      "tokens/s", note: "forward, backward, AdamW; median of \(plain.count)"),
    Figure(
      "trainingShareOfMatrixProduct\(suffix)", "", 100 * 3 * forward / plain.seconds / plain.ceiling, "%",
      note: "of the matrix product in \(name) beside it"),
    Figure(
      "distillationTokensPerSecond\(suffix)", "distillation step \(name)", Double(batch.tokens) / distilling.seconds,
      "tokens/s", note: "with teacher forward and forward-kl; median of \(distilling.count)"),
    Figure(
      "laterEpochsSpeedup\(suffix)", "", distilling.seconds / distilling.laterSeconds, "times",
      note: "in later epochs, whose teacher is remembered"),
    Figure(
      "distillationSeconds\(suffix)", "", distilling.seconds, "s", note: "\(Int(rate / 1e9)) GFLOP/s of products"),
    Figure(
      "distillationShareOfMatrixProduct\(suffix)", "", 100 * rate / distilling.ceiling, "%",
      note: "of the matrix product in \(name) beside it"),
    Figure(
      "peakResidentBytes\(suffix)", "most memory so far", Double(peakResidentBytes()), "bytes",
      note: "\(Int(Double(peakResidentBytes()) / Double(trainer.parameters.layout.parameterCount))) a parameter"),
  ]
}

/// Steps of a run that distils a model into itself on one batch: first with all of the teacher, then with what is
/// remembered of it.
private func stepsOfRun(
  _ subject: Subject, options: TrainingOptions, ceiling: () -> Double
) throws -> (seconds: Double, laterSeconds: Double, ceiling: Double, count: Int) {
  let compute = subject.compute, vocabulary = subject.model.shape.vocabularySize
  let services = PluginServices(
    log: { _, _, _ in }, parallelFor: { count, body in compute.pool.parallelFor(count) { index, _ in body(index) } },
    linearAlgebra: { () throws(BLASError) in try LinearAlgebra(pool: compute.pool) })
  let plugins = PluginRegistry(services: services)
  plugins.discover()
  let plan = LossPlan(
    objectives: [ObjectiveTerm(Configured(try plugins.objective(id: "forward-kl")))], vocabulary: vocabulary)
  let dataset = try Dataset(
    text: subject.tokens, sequenceLength: subject.batch.length, sequences: subject.batch.sequences,
    sampling: .contiguous, vocabularySize: vocabulary)
  func measure(
    _ memory: TeacherMemory, _ store: StatisticsStore
  ) throws -> (seconds: Double, ceiling: Double, count: Int) {
    var options = RunOptions(
      schedule: try Schedule(.constant, learningRate: 1e-5, steps: 1 << 20), batch: subject.batch.sequences,
      accumulation: 1, seed: 0)
    options.training = trainingOptions
    options.teacherMemory = memory
    options.explosion = nil
    let run = try DistillationRun(
      student: subject.state, teacher: subject.state, tokenizer: subject.tokenizer, dataset: dataset, plan: plan,
      options: options, store: store, compute: compute)
    if memory != .none { _ = try run.step(monitor: Monitor(), diagnostics: Diagnostics()) }
    return try repeated(for: subject.seconds, ceiling: ceiling) {
      _ = try run.step(monitor: Monitor(), diagnostics: Diagnostics())
    }
  }
  let trainingOptions = options, store = StatisticsStore(diskBytes: 0)
  let first = try measure(.none, store), later = try measure(.fp32, store)
  return (first.seconds, later.seconds, first.ceiling, first.count)
}

/// The largest resident set of this process so far.
private func peakResidentBytes() -> Int {
  var usage = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  return usage.ru_maxrss * 1024
}
