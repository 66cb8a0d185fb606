// A run that is about to begin: everything that its request names, found and checked.

import Checkpoints
import Compression
import Tensors
import WireTypes
import Workspace

struct RunWork: Sendable {
  let params: DistillStart.Params
  let models: RunModels
  let dataset: Dataset
  let plan: LossPlan
  let options: RunOptions
  /// Why these objectives, if nobody named any.
  let recipe: Recipe?
  /// What the run takes beside the models.
  let bytes: Int
  private let store: StatisticsStore
  private let compute: Compute

  /// Nil if nothing asks for one.
  var teacher: LoadedModel? { plan.needsTeacher ? models.teacher : nil }

  /// - Throws: what is wrong with the request.
  init(_ params: DistillStart.Params, _ context: ServerContext) throws {
    self.params = params
    models = try context.runModels(params)
    dataset = try context.dataset(params.dataset)
    compute = try context.compute()
    store = context.statistics
    (plan, recipe) = try context.lossPlan(params, models)
    var options = try RunOptions(params, dataset: dataset)
    if let validation = params.validation {
      options.validation = ValidationPlan(try context.dataset(validation.dataset), everySteps: validation.everySteps)
    }
    self.options = options
    bytes = runBytes(
      student: models.studentState.transformer, teacher: plan.needsTeacher ? models.teacher.transformer : nil,
      plan: plan, options: options, dataset: dataset, threads: context.threads)
  }

  /// That the run can be made, as far as can be told without making it. Goes through vocabularies: work for a lane.
  /// - Throws: as `make`.
  func check() throws {
    try requireMemory(bytes, for: "A run of this student")
    try DistillationRun.check(
      student: models.studentState, teacher: plan.needsTeacher ? models.teacherState : nil, dataset: dataset,
      plan: try sharedPlan, options: options)
  }

  /// The plan on what both vocabularies share.
  private var sharedPlan: LossPlan {
    get throws {
      var plan = plan
      plan.vocabulary = try models.vocabulary
      return plan
    }
  }

  /// The run at step 0, or where the one that was saved to `path` was.
  /// - Throws: `CompressionError.memoryInsufficient`, `TrainingError` (of other tokens, too), `PolicyError`,
  ///   `CheckpointError`.
  func make(from path: String? = nil, monitor: Monitor = Monitor()) throws -> DistillationRun {
    try requireMemory(bytes, for: "A run of this student")
    let run = try DistillationRun(
      student: models.studentState, teacher: plan.needsTeacher ? models.teacherState : nil,
      tokenizer: models.student.checkpoint.tokenizer, dataset: dataset, plan: try sharedPlan, options: options, store: store,
      compute: compute)
    if let path { try run.restore(from: path, monitor: monitor) }
    try models.student.checkpoint.requireIntact()
    return run
  }
}

extension LoadedModel {
  /// Makes the student of a run a revision, under the one that it began from.
  func commit(_ run: DistillationRun, teacher: LoadedModel?) throws -> Revision {
    try checkpoint.requireIntact()
    return try history.commit(
      run.operation(teacher: teacher?.name), tensors: run.committedTensors(), under: run.student.revision.id)
  }
}
