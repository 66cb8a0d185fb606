// prune/shrink: what masks prune whole is really gone, in a model of its own.

import Checkpoints
import Compression
import JSON
import OrderedCollections
import Tensors
import Transformers
import WireTypes
import Workspace

let shrinkRoutes = [
  Route(
    PruneShrink.self, model: \.model,
    access: { params in
      .writing(.model(params.name), reading: .model(params.model), params.residualScores.map { .scores($0) })
    }, prepare: shrink)
]

private func shrink(_ params: PruneShrink.Params, _ context: ServerContext) throws -> Plan {
  let model = try context.model(params.model)
  let state = try model.state(params.revision)
  if let taken = context.models.value(params.name) {
    throw ServerError.modelExists(name: params.name, source: taken.source)
  }
  let scores = try params.residualScores.map { name in
    let scores = try context.unitScoreSet(name)
    guard scores.provenance.model == params.model else {
      throw CompressionError.scoresOfAnotherModel(scores: name, model: scores.provenance.model)
    }
    return scores
  }
  return .work(.files) { monitor in
    let start = monotonicSeconds(), diagnostics = Diagnostics(tensors: state.revision.tensors.keys)
    let shrunk = try Compression.shrink(
      state, configuration: model.checkpoint.configuration,
      options: ShrinkOptions(uniform: params.uniform, headScores: scores), monitor: monitor, diagnostics: diagnostics)
    let smaller = LoadedModel(
      shrunk, of: model, revision: state.revision, name: params.name,
      details: ["uniform": "\(params.uniform)", "residualHeads": "\(scores != nil)"],
      calibration: state.revision.calibration.union(scores?.provenance.calibration ?? []))
    try model.checkpoint.requireIntact()  // what was copied was all there
    guard context.models.add(smaller, name: params.name) != nil else {
      throw ServerError.modelExists(name: params.name, source: model.source)
    }
    return PruneShrink.result(
      smaller.facts, revision: smaller.history.current.id, structure: smaller.structure, isStandard: shrunk.isStandard,
      parametersBefore: state.revision.parameterCount, diagnostics: diagnostics.json,
      seconds: monotonicSeconds() - start)
  }
}
