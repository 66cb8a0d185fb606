// distill/*: runs that teach a student, started, moved, watched, forked and committed.

import Checkpoints
import Compression
import JSON
import JSONRPC
import OrderedCollections
import Tensors
import Transformers
import WireTypes
import Workspace

let distillRoutes = [
  Route(
    DistillStart.self, model: \.student.model,
    access: { params in
      let read = Access.reading(
        .model(params.student.model), params.teacher.map { .model($0.model) }, .dataset(params.dataset), .plugins)
      return params.name.map { Access(reads: read.reads, writes: [.run($0)]) } ?? read
    }, prepare: start),
  Route(DistillStep.self, access: { .writing(.run($0.run)) }, prepare: step),
  Route(DistillStatus.self, prepare: status),
  Route(DistillPause.self, access: { .reading(.run($0.run)) }, prepare: pause),
  Route(DistillResume.self, access: { .writing(.run($0.run)) }, prepare: resume),
  Route(
    DistillFork.self,
    access: { params in
      let read = Access.reading(.run(params.run))
      return params.name.map { Access(reads: read.reads, writes: [.run($0)]) } ?? read
    }, prepare: fork),
  Route(DistillCommit.self, access: { .writing(.run($0.run)) }, prepare: commit),
  Route(DistillStop.self, prepare: stop),
]

private func start(_ params: DistillStart.Params, _ context: ServerContext) throws -> Plan {
  let models = try context.runModels(params)
  let dataset = try context.dataset(params.dataset), compute = try context.compute()
  if let name = params.name, context.runs.value(name) != nil { throw ServerError.runExists(name: name) }
  let vocabulary = min(
    models.student.transformer.shape.vocabularySize, models.teacher.transformer.shape.vocabularySize)
  let (plan, recipe) = try context.lossPlan(params, models, vocabulary: vocabulary)
  let options = try RunOptions(params, dataset: dataset)
  let bytes = runBytes(
    student: models.studentState.transformer, teacher: plan.needsTeacher ? models.teacherState.transformer : nil,
    plan: plan, options: options, length: dataset.sequenceLength, threads: context.threads)
  return .work(.compute) { monitor in
    let start = monotonicSeconds(), diagnostics = Diagnostics()
    try requireMemory(bytes, for: "A run of this student")
    let run = try DistillationRun(
      student: models.studentState, teacher: plan.needsTeacher ? models.teacherState : nil, dataset: dataset,
      plan: plan, options: options, store: context.statistics, compute: compute)
    try models.student.checkpoint.requireIntact()
    let loaded = try context.addRun(named: params.name) { name in
      LoadedRun(
        run, name: name, student: models.student, teacher: plan.needsTeacher ? models.teacher : nil,
        dataset: params.dataset)
    }
    let choice = recipe.map { DistillStart.Choice(recipe: $0.name, reason: $0.reason) }
    return DistillStart.result(
      loaded.facts, objectives: plan.facts, balance: plan.balance.rawValue, recipe: choice,
      tokensPerStep: run.sequencesPerStep * dataset.sequenceLength, memoryBytes: bytes, diagnostics: diagnostics.json,
      seconds: monotonicSeconds() - start)
  }
}

private func step(_ params: DistillStep.Params, _ context: ServerContext) throws -> Plan {
  let run = try context.run(params.run)
  return .work(.compute) { monitor in
    let start = monotonicSeconds(), diagnostics = Diagnostics()
    guard run.run.steps < run.steps else { throw ServerError.runFinished(run: run.name, steps: run.steps) }
    let count = min(params.steps, run.steps - run.run.steps)
    var last: StepFacts?
    for number in 0..<count {
      let facts = try run.step(
        monitor: Monitor(cancellation: monitor.cancellation), diagnostics: diagnostics)
      last = facts
      monitor.report(Double(number + 1) / Double(count), "step \(run.run.steps) of \(run.steps)")
      if let token = params.partialResultToken {
        let value: JSON = ["token": token, "value": facts.json]
        try context.outbox.send(Notification(method: Progress.name, params: value).json)
      }
    }
    return DistillStep.result(
      run.facts, taken: count, metrics: last, diagnostics: diagnostics.json, seconds: monotonicSeconds() - start)
  }
}

private func status(_ params: DistillStatus.Params, _ context: ServerContext) throws -> Plan {
  let runs = try params.run.map { [try context.run($0)] } ?? context.runs.all.map(\.value)
  return .answer(
    DistillStatus.result(runs.map { DistillStatus.run($0.facts, history: $0.history(params.history)) }))
}

/// Answered behind the step that is under way.
private func pause(_ params: RunParams, _ context: ServerContext) throws -> Plan {
  let run = try context.run(params.run)
  run.pause()
  return .work(.compute) { _ in DistillPause.result(run.facts) }
}

private func resume(_ params: DistillResume.Params, _ context: ServerContext) throws -> Plan {
  let run = try context.run(params.run)
  return .work(.compute) { _ in
    guard run.run.steps < run.steps else { throw ServerError.runFinished(run: run.name, steps: run.steps) }
    if let until = params.untilStep, until <= run.run.steps {
      throw ServerError.runStepBehind(run: run.name, step: run.run.steps, asked: until)
    }
    run.resume(until: params.untilStep)
    return DistillResume.result(run.facts)
  }
}

private func fork(_ params: DistillFork.Params, _ context: ServerContext) throws -> Plan {
  let run = try context.run(params.run)
  if let name = params.name, context.runs.value(name) != nil { throw ServerError.runExists(name: name) }
  return .work(.compute) { _ in
    let start = monotonicSeconds()
    let fork = try context.addRun(named: params.name) { name in
      LoadedRun(
        run.run.forked(), name: name, student: run.student, teacher: run.teacher, dataset: run.dataset,
        forkedFrom: run)
    }
    return DistillFork.result(fork.facts, seconds: monotonicSeconds() - start)
  }
}

private func commit(_ params: RunParams, _ context: ServerContext) throws -> Plan {
  let run = try context.run(params.run)
  return .work(.compute) { _ in
    let start = monotonicSeconds(), distillation = run.run
    try run.student.checkpoint.requireIntact()
    let revision = try run.student.history.commit(
      distillation.operation(teacher: run.teacher?.name), tensors: distillation.committedTensors(),
      under: distillation.student.revision.id)
    return DistillCommit.result(
      run.facts, model: run.student.name, revision: revision.id, parent: revision.parent ?? "",
      seconds: monotonicSeconds() - start)
  }
}

private func stop(_ params: RunParams, _ context: ServerContext) throws -> Plan {
  let run = try context.run(params.run)
  run.pause()
  run.cancellation.cancel()
  return .work(.compute) { _ in
    context.runs.remove(run.name)
    return DistillStop.result(run.facts)
  }
}

extension ServerContext {
  /// - Throws: `ServerError.runNotFound`.
  func run(_ name: String) throws(ServerError) -> LoadedRun {
    guard let run = runs.value(name) else { throw .runNotFound(run: name, runs: runs.names) }
    return run
  }

  /// Keeps a run under a name, or under one that is made up.
  /// - Throws: `ServerError.runExists`.
  fileprivate func addRun(named name: String?, _ make: (String) -> LoadedRun) throws(ServerError) -> LoadedRun {
    guard let run = runs.add(name: name, make) else { throw .runExists(name: name ?? "") }
    return run.value
  }
}

extension LossPlan {
  /// As the answer of distill/start has it.
  fileprivate var facts: [ObjectiveFacts] {
    func values(_ parameters: OrderedDictionary<String, ParameterValue>) -> JSONObject {
      JSONObject(parameters.map { ($0.key, $0.value.json) })
    }
    return objectives.map { term in
      ObjectiveFacts(
        plugin: term.objective.id, weight: term.weight, parameters: values(term.objective.parameters),
        temperature: term.temperature, temperatureScale: term.squaresTemperature ? "squared" : "none")
    }
      + features.map { term in
        ObjectiveFacts(
          plugin: term.objective.id, weight: term.weight, parameters: values(term.objective.parameters),
          place: term.place.rawValue, layers: term.pairs.map { ($0.student, $0.teacher) })
      }
  }
}
