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
      access(
        .model(params.student.model), params.teacher.map { .model($0.model) }, .dataset(params.dataset),
        params.validation.map { .dataset($0.dataset) }, .plugins, making: params.name)
    }, prepare: start),
  Route(
    DistillLoad.self,
    access: { params in
      access(
        params.student.map { .model($0.model) }, params.teacher.map { .model($0.model) },
        params.dataset.map { .dataset($0) }, params.validation.map { .dataset($0) }, .plugins, making: params.name)
    }, prepare: load),
  Route(DistillStep.self, access: { .writing(.run($0.run)) }, prepare: step),
  Route(DistillStatus.self, prepare: status),
  Route(DistillPause.self, access: { .reading(.run($0.run)) }, prepare: pause),
  Route(DistillResume.self, access: { .writing(.run($0.run)) }, prepare: resume),
  Route(DistillFork.self, access: { access(.run($0.run), making: $0.name) }, prepare: fork),
  Route(DistillCommit.self, access: { .writing(.run($0.run)) }, prepare: commit),
  Route(DistillSave.self, access: { .reading(.run($0.run)) }, prepare: save),
  Route(DistillStop.self, prepare: stop),
]

/// Reads resources, and makes a run under a name if one is given.
private func access(_ resources: Resource?..., making name: String?) -> Access {
  Access(reads: Set(resources.compactMap(\.self)), writes: name.map { [.run($0)] } ?? [])
}

private func start(_ params: DistillStart.Params, _ context: ServerContext) throws -> Plan {
  try begin(params, from: nil, context)
}

private func load(_ params: DistillLoad.Params, _ context: ServerContext) throws -> Plan {
  let path = try RunFolder.newest(at: params.path)
  return try begin(try params.start(try RunFolder.state(at: path)), from: path, context)
}

/// - Parameter path: of a saved run, where this one is to go on.
private func begin(_ params: DistillStart.Params, from path: String?, _ context: ServerContext) throws -> Plan {
  if let name = params.name, context.runs.value(name) != nil { throw ServerError.runExists(name: name) }
  let work = try RunWork(params, context)
  return .work(.compute) { monitor in
    let start = monotonicSeconds()
    let run = try work.make(from: path, monitor: monitor), keeping = try RunKeeping(params, step: run.steps)
    let loaded = try context.addRun(named: params.name) { name in
      LoadedRun(
        run, name: name, student: work.models.student, teacher: work.teacher, dataset: params.dataset,
        params: params.json, keeping: keeping)
    }
    return DistillStart.result(
      loaded.facts, objectives: work.plan.facts, balance: work.plan.balance.rawValue,
      recipe: work.recipe.map { DistillStart.Choice(recipe: $0.name, reason: $0.reason) },
      tokensPerStep: run.sequencesPerStep * work.dataset.sequenceLength, memoryBytes: work.bytes,
      seconds: monotonicSeconds() - start)
  }
}

private func step(_ params: DistillStep.Params, _ context: ServerContext) throws -> Plan {
  let run = try context.run(params.run)
  return .work(.compute) { monitor in
    let start = monotonicSeconds(), diagnostics = Diagnostics()
    guard !run.cancellation.isCancelled else { throw ServerError.runNotFound(run: run.name, runs: context.runs.names) }
    guard run.run.steps < run.steps else { throw ServerError.runFinished(run: run.name, steps: run.steps) }
    let count = min(params.steps, run.steps - run.run.steps)
    let cancellation = Cancellation(following: monitor.cancellation, run.cancellation)
    var last: StepFacts?, taken = 0
    while taken < count, taken == 0 || run.phase != .failed {
      let facts = try run.step(monitor: Monitor(cancellation: cancellation), diagnostics: diagnostics)
      last = facts
      taken += 1
      monitor.report(Double(taken) / Double(count), "step \(run.run.steps) of \(run.steps)")
      if let token = params.partialResultToken {
        let value: JSON = ["token": token, "value": facts.json]
        try context.outbox.send(Notification(method: Progress.name, params: value).json)
      }
    }
    return DistillStep.result(
      run.facts, taken: taken, metrics: last, diagnostics: diagnostics.json, seconds: monotonicSeconds() - start)
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
        params: run.params, forkedFrom: run)
    }
    return DistillFork.result(fork.facts, seconds: monotonicSeconds() - start)
  }
}

private func commit(_ params: RunParams, _ context: ServerContext) throws -> Plan {
  let run = try context.run(params.run)
  return .work(.compute) { _ in
    let start = monotonicSeconds()
    guard context.models.value(run.student.name) === run.student else {
      throw ServerError.modelNotFound(name: run.student.name, models: context.models.names)
    }
    let revision = try run.student.commit(run.run, teacher: run.teacher)
    return DistillCommit.result(
      run.facts, model: run.student.name, revision: revision.id, parent: revision.parent ?? "",
      seconds: monotonicSeconds() - start)
  }
}

private func save(_ params: DistillSave.Params, _ context: ServerContext) throws -> Plan {
  let run = try context.run(params.run)
  return .work(.compute) { monitor in
    let start = monotonicSeconds()
    try run.student.checkpoint.requireIntact()
    let bytes = try run.run.save(to: params.path, state: run.params, monitor: monitor)
    return DistillSave.result(run.facts, path: params.path, bytes: bytes, seconds: monotonicSeconds() - start)
  }
}

private func stop(_ params: RunParams, _ context: ServerContext) throws -> Plan {
  let run = try context.run(params.run)
  run.pause()
  run.cancellation.cancel()
  return .work(.compute) { _ in
    run.end()
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
