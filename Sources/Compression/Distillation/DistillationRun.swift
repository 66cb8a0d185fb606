// A distillation in progress: a student that moves, the teacher, the data, and what is taught; one step at a time.

package import Checkpoints
package import Tensors
import Transformers
package import Workspace

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
  /// What the student writes of the batches.
  var ownText: OwnText
  /// The last one.
  package var validation: Validation?
  var order: DataOrder
  /// The largest batch that goes through the models at once.
  let largest: Batch
  let tokenizer: Tokenizer
  let compute: Compute
  let store: StatisticsStore
  /// Of the teacher's tensors, once somebody asked.
  private var knownTeacherDigest: String?
  /// Made when it is first needed, like the trainer's own.
  private var working: (teacher: Teacher?, scratch: [RowScratch])?

  /// - Throws: `TrainingError.planInvalid`, `batchInvalid`; what an objective throws.
  package init(
    student: ModelState, teacher: ModelState?, tokenizer: Tokenizer, dataset: Dataset, plan: LossPlan,
    options: RunOptions, store: StatisticsStore, compute: Compute
  ) throws {
    try Self.check(student: student, teacher: teacher, dataset: dataset, plan: plan, options: options)
    self.student = student
    self.teacher = teacher
    self.tokenizer = tokenizer
    self.dataset = dataset
    self.plan = plan
    self.options = options
    self.store = store
    self.compute = compute
    largest = options.largestBatch(plan, dataset: dataset)
    trainer = Trainer(
      student, batch: largest, keptLayers: plan.keptLayers, options: options.training, compute: compute)
    projections = Projections(
      plan, student: student.transformer, teacher: teacher?.transformer, options: options.training.optimizer,
      seed: options.seed, compute: compute)
    memories = try Self.memories(plan, student.transformer, teacher?.transformer, projections)
    let count = plan.policy == nil ? dataset.sequences : dataset.examples.count
    order = DataOrder(count: count, seed: options.seed, isShuffled: options.isShuffled)
    recentLoss = RecentLoss()
    ownText = OwnText(share: options.onPolicy?.fraction ?? 0)
    tokens = 0
    steps = 0
  }

  /// That such a run can be made, as far as can be told without making it.
  /// - Throws: `TrainingError.planInvalid`, `batchInvalid`; `CompressionError` for data that predict nothing; what
  ///   `ValidationPlan.check` throws.
  package static func check(
    student: ModelState, teacher: ModelState?, dataset: Dataset, plan: LossPlan, options: RunOptions
  ) throws {
    try plan.check(student: student.transformer, teacher: teacher?.transformer)
    try plan.policy?.check(dataset.examples, hasTeacher: teacher != nil)
    for token in dataset.tokens where token >= plan.vocabulary {
      throw TrainingError.batchInvalid(expected: "tokens below \(plan.vocabulary), the shared vocabulary, not \(token)")
    }
    if plan.policy == nil { _ = try DatasetWindows(dataset, length: nil) }
    let longest = options.largestBatch(plan, dataset: dataset).length
    for model in [student, teacher].compactMap({ $0?.transformer }) where longest > model.shape.maximumLength {
      throw TrainingError.batchInvalid(
        expected: "sequences of at most \(model.shape.maximumLength) tokens, not of \(longest)")
    }
    if let adaptation = options.onPolicy?.adaptation {
      guard options.validation != nil, adaptation.memory >= options.batch else {
        throw TrainingError.planInvalid(
          expected: "a validation where the share of the student's own text adapts, and a memory of at least a batch, "
            + "\(options.batch) texts")
      }
    }
    try options.validation?.check([student, teacher].compactMap { $0?.transformer })
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
    ownText = other.ownText
    validation = other.validation
    knownTeacherDigest = other.knownTeacherDigest
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

  /// Takes the next step, behind the validation that is due.
  /// - Throws: `Cancelled`, `TrainingError` (of which `lossExploded`, `nonFiniteLoss` and `nonFiniteGradient` mean that
  ///   it cannot go on like this), what an objective, a reward or sampling throws. The run is then as before.
  package func step(monitor: Monitor, diagnostics: Diagnostics) throws -> StepMetrics {
    _ = try validate(monitor: Monitor(cancellation: monitor.cancellation), diagnostics: diagnostics)
    let before = (
      memories: memories.mapValues(\.copied), trainer: trainer, ownText: ownText, reused: working?.teacher?.reused ?? 0
    )
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
      ownText = before.ownText
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

  /// Names the random numbers of the step that comes.
  var stepSeed: UInt64 {
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

  /// What the teacher's tensors are; nil without one. Computed once, at some hundred megabytes a second.
  /// - Throws: `Cancelled`.
  func teacherDigest(_ monitor: Monitor) throws(Cancelled) -> String? {
    if let digest = knownTeacherDigest { return digest }
    knownTeacherDigest = try teacher?.digest(monitor: monitor)
    return knownTeacherDigest
  }

  // MARK: Branches and results

  /// Another run at the same point. Weights and optimiser state are shared until either takes a step.
  package func forked() -> DistillationRun { DistillationRun(forking: self) }

  /// Goes back to a point that was saved.
  func restore(
    _ trainer: Trainer, steps: Int, tokens: Int, recentLoss: RecentLoss, ownText: OwnText, validation: Validation?
  ) {
    self.trainer = trainer
    self.ownText = ownText
    self.validation = validation
    self.steps = steps
    self.tokens = tokens
    self.recentLoss = recentLoss
  }
}
