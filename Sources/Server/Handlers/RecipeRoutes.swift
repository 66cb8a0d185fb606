// distill/recipe: pruning and teaching in turns, each stage a revision.

import Checkpoints
import Compression
import JSON
import OrderedCollections
import Tensors
import WireTypes
import Workspace

let recipeRoutes = [
  Route(
    DistillRecipe.self, model: \.model,
    access: { params in
      var reads: Set<Resource> = [.plugins]
      for stage in params.stages {
        switch stage {
        case .prune(let prune):
          if let dataset = prune.pruning.criterion.dataset { reads.insert(.dataset(dataset)) }
        case .teach(let teach):
          reads.formUnion([teach.dataset, teach.validation?.dataset].compactMap { $0.map { .dataset($0) } })
          if let teacher = teach.teacher, teacher.model != params.model { reads.insert(.model(teacher.model)) }
        case .rewind: break
        }
      }
      return Access(reads: reads, writes: [.model(params.model)])
    }, prepare: recipe)
]

private func recipe(_ params: DistillRecipe.Params, _ context: ServerContext) throws -> Plan {
  let model = try context.model(params.model)
  // Whatever is wrong with a stage shows now, and not after hours.
  var lessons: [RunWork] = []
  for stage in params.stages {
    switch stage {
    case .prune(let prune): _ = try PruningWork(prune, context)
    case .teach(let teach): lessons.append(try RunWork(teach, context))
    case .rewind(let revision): _ = try model.state(revision)
    }
  }
  return .work(.compute) { [lessons] monitor in
    let start = monotonicSeconds(), diagnostics = Diagnostics()
    for lesson in lessons { try lesson.check() }
    var stages: [DistillRecipe.StageFacts] = []
    for (number, stage) in params.stages.enumerated() {
      let count = Double(params.stages.count)
      let part = monitor.part(Double(number) / count...Double(number + 1) / count)
      stages.append(try carryOut(stage, number: number + 1, model, context, part, diagnostics))
    }
    let revision = model.history.current
    return DistillRecipe.result(
      model: model.name, revision: revision.id, sparsity: revision.sparsity, stages: stages,
      diagnostics: diagnostics.json, seconds: monotonicSeconds() - start)
  }
}

private func carryOut(
  _ stage: DistillRecipe.Stage, number: Int, _ model: LoadedModel, _ context: ServerContext, _ monitor: Monitor,
  _ diagnostics: Diagnostics
) throws -> DistillRecipe.StageFacts {
  let start = monotonicSeconds()
  var validations: [ValidationFacts] = []
  func facts(_ word: String, _ revision: Revision, _ metrics: StepFacts? = nil) -> DistillRecipe.StageFacts {
    DistillRecipe.StageFacts(
      stage: word, revision: revision.id, sparsity: revision.sparsity, metrics: metrics, validations: validations,
      seconds: monotonicSeconds() - start)
  }
  switch stage {
  case .prune(let params):
    let done = try PruningWork(params, context).run(monitor)
    for diagnostic in done.diagnostics.all.kept { diagnostics.add(diagnostic) }
    return facts("prune", done.revision)
  case .teach(let params):
    let work = try RunWork(params, context), run = try work.make()
    let loaded = LoadedRun(
      run, name: model.name, student: model, teacher: work.teacher, dataset: params.dataset, params: params.json,
      keeping: try RunKeeping(params, step: 0, subfolder: "stage-\(number)"))
    var last: StepFacts?
    for step in 1...loaded.steps {
      let done = try loaded.step(monitor: Monitor(cancellation: monitor.cancellation), diagnostics: diagnostics)
      validations += done.validations
      last = done
      monitor.report(Double(step) / Double(loaded.steps), "step \(step) of \(loaded.steps)")
    }
    loaded.end()
    return facts("teach", try model.commit(run, teacher: work.teacher), last)
  case .rewind(let id):
    let masked = model.history.current, origin = try model.state(id).revision
    var tensors = origin.tensors
    for (name, tensor) in tensors { tensors[name] = tensor.with(mask: masked.tensors[name]?.mask) }
    let operation = Operation(
      method: DistillRecipe.name, summary: "weights of \(id) under the masks of \(masked.id)",
      details: ["rewound": id, "masks": masked.id], calibration: origin.calibration.union(masked.calibration))
    return facts("rewind", model.history.commit(operation, tensors: tensors))
  }
}
