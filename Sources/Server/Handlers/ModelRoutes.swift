// model/load, list, describe, unload, export: checkpoints in and out of memory.

import Checkpoints
import Compression
import JSON
import OrderedCollections
import Tensors
import Transformers
import WireTypes
import Workspace

let modelRoutes = [
  Route(
    ModelLoad.self, model: { $0.name ?? defaultModelName($0.source) },
    access: { .writing(.model($0.name ?? defaultModelName($0.source))) }, prepare: load),
  Route(ModelList.self) { _, context in
    .answer(
      ModelList.result(
        context.models.all.map { _, model in
          let log = model.history.log
          return ModelList.Entry(
            model.facts, revision: log.current, branch: log.branch, sparsity: model.history.current.sparsity)
        }))
  },
  Route(ModelDescribe.self, model: \.model) { params, context in
    .answer(try describe(context.model(params.model), revision: params.revision))
  },
  Route(ModelUnload.self, model: \.model, access: { .writing(.model($0.model)) }) { params, context in
    let model = try context.model(params.model)
    context.models.remove(model.name)
    let orphans = context.scores.all.filter { $0.value.provenance.model == model.name }.map(\.name)
    for name in orphans { context.scores.remove(name) }
    for (name, loaded) in context.sensitivities.all where loaded.model === model { context.sensitivities.remove(name) }
    let unitOrphans = context.unitScores.all.filter { $0.value.provenance.model == model.name }.map(\.name)
    for name in unitOrphans { context.unitScores.remove(name) }
    return .answer(ModelUnload.result(model: model.name, discardedScores: orphans + unitOrphans))
  },
  Route(ModelExport.self, model: \.model, access: { .reading(.model($0.model)) }, prepare: export),
]

private func load(_ params: ModelLoad.Params, _ context: ServerContext) throws -> Plan {
  let name = params.name ?? defaultModelName(params.source)
  if let loaded = context.models.value(name) { throw ServerError.modelExists(name: name, source: loaded.source) }
  _ = try context.compute()  // without linear algebra a model is of no use: say so now
  return .work(.files) { _ in
    let start = monotonicSeconds()
    let model = try LoadedModel(source: params.source, name: name)
    guard context.models.add(model, name: name) != nil else {
      throw ServerError.modelExists(name: name, source: params.source)
    }
    return ModelLoad.result(
      model.facts, revision: model.history.current.id, seconds: monotonicSeconds() - start)
  }
}

private func describe(_ model: LoadedModel, revision id: String?) throws -> JSON {
  let state = try model.state(id), revision = state.revision, log = model.history.log
  let prunable = state.prunableTensors
  let tensors = revision.tensors.map { name, tensor in
    ModelDescribe.Tensor(
      name: name, storedName: model.checkpoint.storedNames[name], shape: tensor.weights.view.shape,
      dtype: tensor.weights.view.dtype.rawValue, bytes: tensor.weights.view.byteCount,
      prunable: prunable[name] != nil, layer: prunable[name]?.layer, sparsity: tensor.sparsity)
  }
  let layers = zip(0..<model.transformer.shape.layers, model.layerWidths).map { layer, widths in
    let tensors = model.transformer.tensors(layer: layer).compactMap { revision.tensors[$0] }
    let count = tensors.reduce(0) { $0 + $1.elementCount }, pruned = tensors.reduce(0) { $0 + $1.prunedCount }
    return ModelDescribe.Layer(widths, parameters: count, sparsity: Double(pruned) / Double(max(1, count)))
  }
  return ModelDescribe.result(
    model.facts, revision: revision.id, branch: log.branch, sparsity: revision.sparsity,
    configuration: .object(model.checkpoint.configuration), tensors: tensors, layers: layers,
    structure: model.structure,
    weightsBytes: model.weightsBytes, maskBytes: model.maskBytes)
}

private func export(_ params: ModelExport.Params, _ context: ServerContext) throws -> Plan {
  let model = try context.model(params.model)
  let state = try model.state(params.revision)
  return .work(.files) { monitor in
    let start = monotonicSeconds()
    let files = try exportHuggingFace(
      state, checkpoint: model.checkpoint, to: params.path, replacing: params.overwrite,
      provenance: provenance(of: state.revision, in: model), monitor: monitor)
    return ModelExport.result(
      path: params.path, revision: state.revision.id, files: files.map { ($0.name, $0.bytes) },
      seconds: monotonicSeconds() - start)
  }
}

/// What a file that leaves the server says of where it came from.
func provenance(of revision: Revision, in model: LoadedModel) -> OrderedDictionary<String, String> {
  var facts: OrderedDictionary = [
    "espalier.version": espalierVersion, "espalier.model": model.name, "espalier.source": model.source,
    "espalier.revision": revision.id, "espalier.method": revision.operation.method,
    "espalier.summary": revision.operation.summary,
  ]
  for (key, value) in revision.operation.details { facts["espalier.\(key)"] = value }
  if !revision.calibration.isEmpty { facts[calibrationKey] = revision.calibration.sorted().joined(separator: " ") }
  return facts
}

/// The digests of all data that the revision in a file was calibrated on.
func calibration(inProvenance facts: [String: String]) -> Set<String> {
  Set((facts[calibrationKey] ?? "").split(separator: " ").map(String.init))
}

private let calibrationKey = "espalier.calibration"
