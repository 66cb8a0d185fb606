// A distillation in progress: a student that moves, the teacher, the data, and what is taught; one step at a time.

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
  /// A step whose loss is more than this many times the recent mean is refused; nil refuses none.
  package var explosion: Double? = 4

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
  /// Positions that counted, in all steps.
  package private(set) var tokens: Int
  let projections: Projections
  /// What feature objectives remember, by the index of their term.
  let memories: [Int: FloatBuffer]
  /// The running mean of the loss, for telling when it explodes.
  var recentLoss: RecentLoss
  private var order: DataOrder
  private let store: StatisticsStore
  private let compute: Compute
  /// Made when it is first needed, like the trainer's own.
  private var working: (teacher: Teacher?, scratch: [RowScratch])?

  /// - Throws: `TrainingError.planInvalid`, `batchInvalid`; what an objective throws.
  package init(
    student: ModelState, teacher: ModelState?, dataset: Dataset, plan: LossPlan, options: RunOptions,
    store: StatisticsStore, compute: Compute
  ) throws {
    try plan.check(student: student.transformer, teacher: teacher?.transformer)
    for token in dataset.tokens where token >= plan.vocabulary {
      throw TrainingError.batchInvalid(expected: "tokens below \(plan.vocabulary), the shared vocabulary, not \(token)")
    }
    self.student = student
    self.teacher = teacher
    self.dataset = dataset
    self.plan = plan
    self.options = options
    self.store = store
    self.compute = compute
    let largest = Batch(sequences: options.batch, length: dataset.sequenceLength)
    for model in [student, teacher].compactMap({ $0?.transformer })
    where dataset.sequenceLength > model.shape.maximumLength {
      throw TrainingError.batchInvalid(
        expected: "sequences of at most \(model.shape.maximumLength) tokens, not of \(dataset.sequenceLength)")
    }
    trainer = Trainer(
      student, batch: largest, keptLayers: plan.keptLayers, options: options.training, compute: compute)
    projections = Projections(
      plan, student: student.transformer, teacher: teacher?.transformer, options: options.training.optimizer,
      seed: options.seed, compute: compute)
    memories = try Self.memories(plan, student.transformer, teacher?.transformer, projections)
    order = DataOrder(count: dataset.sequences, seed: options.seed, isShuffled: options.isShuffled)
    recentLoss = RecentLoss()
    tokens = 0
  }

  private init(forking other: DistillationRun) {
    student = other.student
    teacher = other.teacher
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

  /// Steps that were taken.
  package var steps: Int { trainer.optimizer.steps }
  /// Times that the dataset was gone through.
  package var epochs: Double { Double(steps * sequencesPerStep) / Double(dataset.sequences) }
  package var sequencesPerStep: Int { options.batch * options.accumulation }

  // MARK: Steps

  /// Takes the next step.
  /// - Throws: `Cancelled`, `TrainingError` (of which `lossExploded`, `nonFiniteLoss` and `nonFiniteGradient` mean that it
  ///   cannot go on like this), what an objective throws. The run is then as before.
  package func step(monitor: Monitor, diagnostics: Diagnostics) throws -> StepMetrics {
    let (teacher, scratch) = prepared, batches = nextBatches(), seed = stepSeed
    let kept = memories.mapValues(\.copied), reusedBefore = teacher?.reused ?? 0
    let lesson = DistillationLesson(
      plan, student: student.transformer, teacher: teacher, projections: projections, memories: memories,
      scratch: scratch, seed: seed, compute: compute, monitor: monitor, diagnostics: diagnostics
    ) { [options, recentLoss, steps] loss in
      if let factor = options.explosion, let mean = recentLoss.mean, loss > factor * mean {
        throw TrainingError.lossExploded(step: steps + 1, loss: loss, mean: mean)
      }
    }
    do {
      let report = try trainer.step(
        batches, lesson: lesson, learningRate: options.schedule.rate(atStep: min(steps + 1, options.schedule.steps)),
        cancellation: monitor.cancellation)
      recentLoss.take(report.loss)
      tokens += report.tokens
      return StepMetrics(
        step: steps, report: report, parts: lesson.parts, balance: lesson.balance,
        teacherReused: (teacher?.reused ?? 0) - reusedBefore, sequences: sequencesPerStep)
    } catch {
      for (index, memory) in kept { memories[index]?.pointer.update(from: memory.pointer, count: memory.count) }
      throw error
    }
  }

  private var stepSeed: UInt64 {
    var generator = SplitMix64(seed: options.seed &+ UInt64(steps) &* 0x2545_f491_4f6c_dd1d)
    return generator.next()
  }

  private var prepared: (teacher: Teacher?, scratch: [RowScratch]) {
    if let working { return working }
    let largest = Batch(sequences: options.batch, length: dataset.sequenceLength)
    let made = (
      teacher: plan.needsTeacher
        ? teacher.map {
          Teacher(
            $0, batch: largest, precision: options.training.precision, memory: options.teacherMemory, store: store,
            compute: compute)
        } : nil,
      scratch: (0..<compute.pool.threads).map { _ in RowScratch(vocabulary: plan.vocabulary) }
    )
    working = made
    return made
  }

  /// The batches of the step that comes.
  private func nextBatches() -> [TrainingBatch] {
    let first = steps * sequencesPerStep
    return (0..<options.accumulation).map { number in
      let start = first + number * options.batch
      return dataset.trainingBatch((start..<start + options.batch).map { order.sequence(at: $0) })
    }
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
  func restore(_ trainer: Trainer, tokens: Int, recentLoss: RecentLoss) {
    self.trainer = trainer
    self.tokens = tokens
    self.recentLoss = recentLoss
  }
}

/// Bytes that a run takes at most beside the models: weights, gradients and moments of the student, activations, logits.
package func runBytes(
  student: Transformer, teacher: Transformer?, plan: LossPlan, options: RunOptions, length: Int, threads: Int
) -> Int {
  let batch = Batch(sequences: options.batch, length: length)
  let state = 4 * 4 * ParameterLayout(student).count
  let kept = options.training.activationBudget == nil ? student.shape.layers * student.keptBytesPerToken : 0
  let budget = options.training.activationBudget ?? 0
  let activations = batch.tokens * (student.trainingBytesPerToken + kept) + budget
  let looking = batch.tokens * (teacher.map { $0.activationBytesPerToken + 8 * $0.shape.hiddenSize } ?? 0)
  let logits = (64 << 20) + threads * 6 * 4 * plan.vocabulary
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

extension Dataset {
  /// Some of its sequences as a batch.
  func trainingBatch(_ numbers: [Int]) -> TrainingBatch {
    TrainingBatch(
      lengths: numbers.flatMap { segments(ofSequence: $0) }, tokens: numbers.flatMap { tokens(ofSequence: $0) },
      targets: numbers.flatMap { targets(ofSequence: $0) }, dataset: self,
      windows: numbers.map { TrainingBatch.Window(number: $0, rows: range(ofSequence: $0).count) })
  }
}
