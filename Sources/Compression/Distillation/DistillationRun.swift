// A distillation in progress: a student that moves, the teacher, the data, and what is taught; one step at a time.

package import Checkpoints
package import OrderedCollections
package import Tensors
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
  /// A step whose loss is more than this many times the recent mean, and more than a nat above it, is refused; nil refuses
  /// none.
  package var explosion: Double? = 4
  /// How a part of the batches is written by the student; nil for none.
  package var onPolicy: OnPolicy?

  package init(schedule: Schedule, batch: Int, accumulation: Int, seed: UInt64) {
    self.schedule = schedule
    self.batch = batch
    self.accumulation = accumulation
    self.seed = seed
  }
}

/// What a step did.
package struct StepMetrics: Sendable, Equatable {
  /// Counted from 1.
  package let step: Int
  package let report: StepReport
  package let parts: [LossPart]
  /// What the losses inside were scaled by, if the balance is dynamic.
  package let balance: Double?
  /// What rewards said, if the run learns from any.
  package let rewards: [LossPart]
  /// Sequences whose teacher did not have to be computed, and all.
  package let teacherReused: Int
  package let sequences: Int
}

/// A run. Used by one thread at a time; whoever shares it guards it.
package final class DistillationRun: @unchecked Sendable {
  /// What the student was when the run began.
  package let student: ModelState
  package let teacher: ModelState?
  package let dataset: Dataset
  package let plan: LossPlan
  package let options: RunOptions
  package private(set) var trainer: Trainer
  /// Steps that were taken. Each is one of the optimiser, or several on the same completions.
  package private(set) var steps: Int
  /// Positions that counted, in all steps.
  package private(set) var tokens: Int
  let projections: Projections
  /// What feature objectives remember, by the index of their term.
  let memories: [Int: FloatBuffer]
  /// The running mean of the loss, for telling when it explodes.
  var recentLoss: RecentLoss
  private var order: DataOrder
  private let largest: Batch
  private let tokenizer: Tokenizer
  private let store: StatisticsStore
  private let compute: Compute
  /// Made when it is first needed, like the trainer's own.
  private var working: (teacher: Teacher?, scratch: [RowScratch])?

  /// - Throws: `TrainingError.planInvalid`, `batchInvalid`; what an objective throws.
  package init(
    student: ModelState, teacher: ModelState?, tokenizer: Tokenizer, dataset: Dataset, plan: LossPlan,
    options: RunOptions, store: StatisticsStore, compute: Compute
  ) throws {
    try plan.check(student: student.transformer, teacher: teacher?.transformer)
    try plan.policy?.check(dataset.examples, hasTeacher: teacher != nil)
    for token in dataset.tokens where token >= plan.vocabulary {
      throw TrainingError.batchInvalid(expected: "tokens below \(plan.vocabulary), the shared vocabulary, not \(token)")
    }
    self.student = student
    self.teacher = teacher
    self.tokenizer = tokenizer
    self.dataset = dataset
    self.plan = plan
    self.options = options
    self.store = store
    self.compute = compute
    largest = options.largestBatch(plan, dataset: dataset)
    for model in [student, teacher].compactMap({ $0?.transformer }) where largest.length > model.shape.maximumLength {
      throw TrainingError.batchInvalid(
        expected: "sequences of at most \(model.shape.maximumLength) tokens, not of \(largest.length)")
    }
    trainer = Trainer(
      student, batch: largest, keptLayers: plan.keptLayers, options: options.training, compute: compute)
    projections = Projections(
      plan, student: student.transformer, teacher: teacher?.transformer, options: options.training.optimizer,
      seed: options.seed, compute: compute)
    memories = try Self.memories(plan, student.transformer, teacher?.transformer, projections)
    let count = plan.policy == nil ? dataset.sequences : dataset.examples.count
    order = DataOrder(count: count, seed: options.seed, isShuffled: options.isShuffled)
    recentLoss = RecentLoss()
    tokens = 0
    steps = 0
  }

  private init(forking other: DistillationRun) {
    student = other.student
    teacher = other.teacher
    tokenizer = other.tokenizer
    largest = other.largest
    dataset = other.dataset
    plan = other.plan
    options = other.options
    store = other.store
    compute = other.compute
    trainer = other.trainer.forked()
    projections = other.projections.copied()
    memories = other.memories.mapValues(\.copied)
    order = other.order
    recentLoss = other.recentLoss
    tokens = other.tokens
    steps = other.steps
  }

  private static func memories(
    _ plan: LossPlan, _ student: Transformer, _ teacher: Transformer?, _ projections: Projections
  ) throws -> [Int: FloatBuffer] {
    var memories: [Int: FloatBuffer] = [:]
    for (index, term) in plan.features.enumerated() {
      guard let teacher, let pair = term.pairs.first else { continue }
      let count = try term.objective.method.memoryCount(
        parameters: term.objective.values,
        studentWidth: projections.maps[index]?.outputs ?? student.slice(term.place, layer: pair.student).width,
        teacherWidth: teacher.slice(term.place, layer: pair.teacher).width)
      guard count > 0 else { continue }
      let memory = FloatBuffer(count: count)
      memory.values.initialize(repeating: 0)
      memories[index] = memory
    }
    return memories
  }

  /// Times that the dataset was gone through.
  package var epochs: Double {
    let count = plan.policy == nil ? dataset.sequences : dataset.examples.count
    return Double(steps * sequencesPerStep) / Double(count)
  }
  /// Sequences of the dataset, or prompts, that a step takes.
  package var sequencesPerStep: Int { plan.policy?.prompts ?? options.batch * options.accumulation }

  // MARK: Steps

  /// Takes the next step.
  /// - Throws: `Cancelled`, `TrainingError` (of which `lossExploded`, `nonFiniteLoss` and `nonFiniteGradient` mean that it
  ///   cannot go on like this), what an objective, a reward or sampling throws. The run is then as before.
  package func step(monitor: Monitor, diagnostics: Diagnostics) throws -> StepMetrics {
    let before = (memories: memories.mapValues(\.copied), trainer: trainer, reused: working?.teacher?.reused ?? 0)
    let iterations = plan.policy?.iterations ?? 1
    // More than one step of the optimiser is taken by a copy, so that all of them can be taken back.
    if iterations > 1 { trainer = before.trainer.forked() }
    let maps = iterations > 1 ? projections.copied() : nil
    do {
      let (batches, policies, rewards) = try nextBatches(monitor: monitor, diagnostics: diagnostics)
      var result = try update(batches, policies(), monitor: monitor, diagnostics: diagnostics)
      for _ in 1..<max(1, iterations) {
        result = try update(batches, policies(), monitor: monitor, diagnostics: diagnostics)
      }
      steps += 1
      tokens += result.report.tokens
      if plan.policy == nil { recentLoss.take(result.report.loss) }
      return StepMetrics(
        step: steps, report: result.report, parts: result.lesson.parts, balance: result.lesson.balance,
        rewards: rewards, teacherReused: (working?.teacher?.reused ?? 0) - before.reused, sequences: sequencesPerStep)
    } catch {
      trainer = before.trainer
      if let maps { projections.restore(maps) }
      for (index, memory) in before.memories {
        memories[index]?.pointer.update(from: memory.pointer, count: memory.count)
      }
      throw error
    }
  }

  /// One step of the optimiser.
  private func update(
    _ batches: [TrainingBatch], _ policies: [PolicyLoss], monitor: Monitor, diagnostics: Diagnostics
  ) throws -> (report: StepReport, lesson: DistillationLesson) {
    let (teacher, scratch) = prepared
    let lesson = DistillationLesson(
      plan, student: student.transformer, teacher: teacher, projections: projections, memories: memories,
      policies: policies, scratch: scratch, seed: stepSeed, compute: compute, monitor: monitor,
      diagnostics: diagnostics
    ) { [options, recentLoss, steps] loss in
      if let factor = options.explosion, let mean = recentLoss.mean, loss > max(factor * mean, mean + 1) {
        throw TrainingError.lossExploded(step: steps + 1, loss: loss, mean: mean)
      }
    }
    let report = try trainer.step(
      batches, lesson: lesson, learningRate: options.schedule.rate(atStep: min(steps + 1, options.schedule.steps)),
      cancellation: monitor.cancellation)
    return (report, lesson)
  }

  private var stepSeed: UInt64 {
    var generator = SplitMix64(seed: options.seed &+ UInt64(steps) &* 0x2545_f491_4f6c_dd1d)
    return generator.next()
  }

  private var prepared: (teacher: Teacher?, scratch: [RowScratch]) {
    if let working { return working }
    let made = (
      teacher: plan.looksAtBatches
        ? teacher.map {
          Teacher(
            $0, batch: largest, precision: options.training.precision, memory: options.teacherMemory, store: store,
            compute: compute)
        } : nil,
      scratch: (0..<compute.pool.threads).map { _ in RowScratch(vocabulary: student.transformer.shape.vocabularySize) }
    )
    working = made
    return made
  }

  /// The batches of the step that comes, what rewards say of their rows - made anew for each step of the optimiser - and
  /// what there is to tell of the rewards.
  private func nextBatches(
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
      guard let onPolicy = options.onPolicy, point < onPolicy.fraction else { return dataset.trainingBatch(numbers) }
      let writer = StudentWriter(
        onPolicy: onPolicy, tokenizer: tokenizer, transformer: student.transformer, compute: compute)
      return try writer.batch(
        continuing: numbers, of: dataset, weights: trainer.parameters, seed: seed,
        monitor: Monitor(cancellation: monitor.cancellation))
    }
    return (batches, { [] }, [])
  }

  // MARK: Branches and results

  /// Another run at the same point. Weights and optimiser state are shared until either takes a step.
  package func forked() -> DistillationRun { DistillationRun(forking: self) }

  /// The student as it is, as the tensors of a revision; the run copies its weights before it moves on.
  package func committedTensors() -> OrderedDictionary<String, StoredTensor> {
    let parameters = trainer.frozenParameters()
    var tensors = student.revision.tensors
    for (name, stored) in tensors where parameters.layout.entries[name] != nil {
      let view = parameters.tensor(name).weights
      tensors[name] = StoredTensor(
        weights: WeightsBlob(view, madeUnder: stored.mask?.bits), mask: stored.mask, biasOf: stored.biasOf)
    }
    return tensors
  }

  /// What made the student, for its history.
  package func operation(teacher name: String?) -> Operation {
    var details: OrderedDictionary<String, String> = [
      "steps": "\(steps)", "tokens": "\(tokens)", "dataset": dataset.digest, "seed": "\(options.seed)",
      "learningRate": "\(options.schedule.learningRate)", "batch": "\(options.batch)",
      "accumulation": "\(options.accumulation)", "precision": options.training.precision.rawValue,
      "balance": plan.balance.rawValue,
    ]
    if let teacher, let name { details["teacher"] = "\(name) \(teacher.revision.id)" }
    for (index, term) in plan.objectives.enumerated() {
      details["objective.\(index)"] =
        "\(term.objective.summary) weight \(term.weight) temperature \(term.temperature)"
        + (term.squaresTemperature ? " squared" : "")
    }
    for (index, term) in plan.features.enumerated() {
      let pairs = term.pairs.map { "\($0.student):\($0.teacher)" }.joined(separator: " ")
      details["feature.\(index)"] =
        "\(term.objective.summary) weight \(term.weight) \(term.place.rawValue) \(pairs)"
    }
    let taught = (plan.objectives.map(\.objective.id) + plan.features.map(\.objective.id)).joined(separator: " + ")
    return Operation(
      method: "distill/commit", summary: "\(taught), \(steps) steps, \(tokens) tokens", details: details,
      calibration: [dataset.digest])
  }

  /// Goes back to a point that was saved.
  func restore(_ trainer: Trainer, steps: Int, tokens: Int, recentLoss: RecentLoss) {
    self.trainer = trainer
    self.steps = steps
    self.tokens = tokens
    self.recentLoss = recentLoss
  }
}

/// Bytes that a run takes at most beside the models: weights, gradients and moments of the student, activations, logits.
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

/// An exponential mean of the loss over about the last 20 steps, corrected for its beginning.
struct RecentLoss: Sendable, Equatable {
  private static let decay = 0.95
  private(set) var sum = 0.0
  private(set) var steps = 0

  init(sum: Double = 0, steps: Int = 0) {
    self.sum = sum
    self.steps = steps
  }

  /// Nil until it says something: the first steps of a pruned student may well be wild.
  var mean: Double? {
    guard steps >= 5 else { return nil }
    var weight = 1.0
    for _ in 0..<min(steps, 1000) { weight *= Self.decay }
    return sum / (1 - weight)
  }

  mutating func take(_ loss: Double) {
    sum = Self.decay * sum + (1 - Self.decay) * loss
    steps += 1
  }
}

extension FloatBuffer {
  /// The same values in memory of their own.
  var copied: FloatBuffer {
    let copy = FloatBuffer(count: count)
    copy.pointer.update(from: pointer, count: count)
    return copy
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

extension Dataset {
  /// Some of its sequences as a batch.
  func trainingBatch(_ numbers: [Int]) -> TrainingBatch {
    TrainingBatch(
      lengths: numbers.flatMap { segments(ofSequence: $0) }, tokens: numbers.flatMap { tokens(ofSequence: $0) },
      targets: numbers.flatMap { targets(ofSequence: $0) }, dataset: self,
      windows: numbers.map { TrainingBatch.Window(number: $0, rows: range(ofSequence: $0).count) })
  }
}
