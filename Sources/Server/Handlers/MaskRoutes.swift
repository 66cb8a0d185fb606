// mask/apply, edit, undo, redo, get, diff, save, load: masks as revisions.

import Compression
import JSON
import OrderedCollections
import Tensors
import WireTypes
import Workspace

let maskRoutes = [
  Route(
    MaskApply.self, model: \.model,
    access: { params in
      .writing(
        .model(params.model), reading: .scores(params.scores), params.allocation.map { _ in .plugins },
        params.dataset.map { .dataset($0) })
    }, prepare: apply),
  Route(WireTypes.MaskEdit.self, model: \.model, access: { .writing(.model($0.model)) }, prepare: edit),
  Route(MaskUndo.self, model: \.model, access: { .writing(.model($0.model)) }) { params, context in
    let model = try context.model(params.model)
    let undone = model.history.current.id
    _ = try model.history.undo()
    return .answer(MaskUndo.result(model.place, undone: undone))
  },
  Route(MaskRedo.self, model: \.model, access: { .writing(.model($0.model)) }) { params, context in
    let model = try context.model(params.model)
    _ = try model.history.redo()
    return .answer(MaskRedo.result(model.place))
  },
  Route(MaskGet.self, model: \.model, access: { .reading(.model($0.model)) }, prepare: get),
  Route(MaskDiff.self, model: \.model, access: { .reading(.model($0.model)) }, prepare: diff),
  Route(MaskSave.self, model: \.model, access: { .reading(.model($0.model)) }, prepare: save),
  Route(MaskLoad.self, model: \.model, access: { .writing(.model($0.model)) }, prepare: load),
]

private func apply(_ params: MaskApply.Params, _ context: ServerContext) throws -> Plan {
  if let units = context.unitScores.value(params.scores) { return try applyUnits(units, params, context) }
  if params.uniform != nil {
    throw JSONFieldError(.outOfRange, path: "params.uniform", expected: "nothing, as \(params.scores) are of weights",
      given: params.uniform.map { .bool($0) })
  }
  let model = try context.model(params.model)
  let set = try context.scoreSet(params.scores)
  guard set.provenance.model == params.model else {
    throw CompressionError.scoresOfAnotherModel(scores: params.scores, model: set.provenance.model)
  }
  let target = try SparsityTarget(params.target)
  let group = (params.group.flatMap(MaskGroup.init) ?? set.defaultGroup).within(target)
  let ties = try ties(params.ties, target: target, group: group)
  let state = try model.state(nil)
  let chosen = try state.prunableTensors(matching: params.modules)
  let scores = set.tensors.filter { chosen[$0.key] != nil }.mapValues(\.matrix)
  if params.modules != nil, let name = chosen.keys.first(where: { scores[$0] == nil }) {
    throw CompressionError.tensorNotScored(name: name)
  }
  let allocation = try params.allocation.map { try context.allocation($0, of: model) }
  let dataset = try params.dataset.map(context.uniformDataset)
  if let allocation { try allocation.require(dataset) }
  let compute = try context.compute()
  // An allocator may want to look at the inputs of all layers, which is no edit that a person waits for.
  return .work((allocation?.statistics ?? StatisticsNeed.none).isEmpty ? .interactive : .compute) { monitor in
    let start = monotonicSeconds(), diagnostics = Diagnostics(tensors: chosen.keys)
    let targets = try allocation.map {
      try allocate(
        $0, target: target, tensors: chosen.filter { scores[$0.key] != nil }, of: state, dataset: dataset,
        store: context.statistics, compute: compute, monitor: monitor, diagnostics: diagnostics)
    }
    let masks = try selectMasks(
      scores, target: target, group: group, ties: ties, allocation: targets ?? [:], pool: compute.pool,
      monitor: monitor)
    var details = scoreDetails(set.provenance)
    if let param = params.allocation, let allocation {
      details.merge(allocation.details(param, dataset: dataset)) { _, new in new }
    }
    details["sparsity"] = target.description
    details["group"] = group.rawValue
    if ties != .first { details["ties"] = ties.rawValue }
    if let modules = params.modules { details["modules"] = modules.joined(separator: " ") }
    let operation = Operation(
      method: MaskApply.name, summary: "\(set.provenance.plugin) \(target.words), group \(group.rawValue)",
      details: details,
      calibration: set.provenance.calibration.union(allocation?.calibration(dataset) ?? []))
    let revision = model.history.commit(operation, tensors: model.history.current.replacing(masks))
    return MaskApply.result(
      PrunedFacts(model: model.name, revision, tensors: masks.keys), diagnostics: diagnostics.json,
      seconds: monotonicSeconds() - start)
  }
}

func scoreDetails(_ provenance: ScoreProvenance) -> OrderedDictionary<String, String> {
  var details: OrderedDictionary<String, String> = [
    "plugin": provenance.plugin, "pluginVersion": provenance.pluginVersion, "scoredRevision": provenance.revision,
  ]
  for (name, value) in provenance.parameters { details["parameters.\(name)"] = value.description }
  details["dataset"] = provenance.dataset
  return details
}

private func edit(_ params: WireTypes.MaskEdit.Params, _ context: ServerContext) throws -> Plan {
  let model = try context.model(params.model)
  let edits = params.edits.compactMap(Compression.MaskEdit.init)
  return .work(.interactive) { monitor in
    let edited = try Compression.edit(model.state(nil), edits, monitor: monitor)
    let count = edits.count
    let operation = Operation(
      method: WireTypes.MaskEdit.name,
      summary: "\(count) \(count == 1 ? "edit" : "edits"), \(edited.changed) weights changed")
    // An edit that changes nothing makes no revision that an undo would seem to do nothing about.
    let current = model.history.current
    let revision =
      edited.changed == 0
      ? current : model.history.commit(operation, tensors: current.replacing(edited.masks))
    return WireTypes.MaskEdit.result(
      model: model.name, revision: revision.id, parent: revision.parent, changed: edited.changed,
      modelSparsity: revision.sparsity,
      perTensor: edited.masks.keys.compactMap { name in
        revision.tensors[name].map { TensorSparsity(name, $0) }
      })
  }
}

private func get(_ params: MaskGet.Params, _ context: ServerContext) throws -> Plan {
  let state = try context.model(params.model).state(params.revision)
  let id = state.revision.id
  func stored(_ name: String) throws -> (tensor: StoredTensor, facts: TensorSparsity, mask: MaskBits) {
    let prunable = try state.prunableTensor(name)
    guard let tensor = state.revision.tensors[name] else { throw CompressionError.tensorNotPrunable(name: name) }
    let whole = MaskBits(keepingAll: prunable.rows, columns: prunable.columns)
    return (tensor, TensorSparsity(name, tensor), tensor.mask?.bits ?? whole)
  }
  switch params.question {
  case .summary:
    let tensors = state.prunableTensors.keys.compactMap { name in
      state.revision.tensors[name].map { TensorSparsity(name, $0) }
    }
    return .answer(MaskGet.result(model: params.model, revision: id, tensors: tensors))
  case .tensor(let name):
    return .answer(MaskGet.result(model: params.model, revision: id, tensors: [try stored(name).facts]))
  case .region(let name, let param):
    let (_, facts, mask) = try stored(name)
    let region = MatrixRegion(param)
    try region.check(tensor: name, rows: mask.rows, columns: mask.columns, limit: 1 << 16)
    return .answer(
      MaskGet.result(
        model: params.model, revision: id, tensor: facts, rows: region.rows.count, columns: region.columns.count,
        bits: mask.bits(in: region)))
  case .heatmap(let name, let grid):
    let (_, facts, mask) = try stored(name)
    return .work(.interactive) { _ in
      let map = mask.densities(rows: grid.rows, columns: grid.columns)
      return MaskGet.result(
        model: params.model, revision: id, tensor: facts, rows: map.rows, columns: map.columns,
        densities: map.values)
    }
  }
}

private func diff(_ params: MaskDiff.Params, _ context: ServerContext) throws -> Plan {
  let model = try context.model(params.model)
  let from = try model.state(params.from), to = try model.state(params.to)
  return .work(.interactive) { _ in
    var tensors: [MaskDiff.Tensor] = []
    var pruned = 0, restored = 0
    for (name, tensor) in from.maskShapes {
      let a = from.revision.tensors[name]?.mask, b = to.revision.tensors[name]?.mask
      guard a?.id != b?.id else { continue }
      let whole = MaskBits(keepingAll: tensor.rows, columns: tensor.columns)
      let difference = MaskDifference(from: a?.bits ?? whole, to: b?.bits ?? whole)
      guard difference.pruned + difference.restored > 0 else { continue }
      pruned += difference.pruned
      restored += difference.restored
      tensors.append(
        MaskDiff.Tensor(
          tensor: name, pruned: difference.pruned, restored: difference.restored, agreement: difference.agreement,
          prunedOverlap: difference.prunedOverlap))
    }
    return MaskDiff.result(
      model: model.name, from: from.revision.id, to: to.revision.id, pruned: pruned, restored: restored,
      tensors: tensors)
  }
}

private func save(_ params: MaskSave.Params, _ context: ServerContext) throws -> Plan {
  let model = try context.model(params.model)
  let state = try model.state(params.revision)
  return .work(.files) { _ in
    let saved = try MaskFile.save(state, to: params.path, provenance: provenance(of: state.revision, in: model))
    return MaskSave.result(
      path: params.path, revision: state.revision.id, tensors: saved.tensors, bytes: saved.bytes)
  }
}

private func load(_ params: MaskLoad.Params, _ context: ServerContext) throws -> Plan {
  let model = try context.model(params.model)
  return .work(.files) { _ in
    let (masks, metadata) = try MaskFile.load(params.path, for: model.state(nil))
    let current = model.history.current
    // The file says everything: tensors that it does not name keep every weight.
    let replaced = current.replacing(
      masks: current.tensors.keys.reduce(into: [:]) { all, name in
        all[name] = .some(masks[name].map(MaskBlob.init))
      })
    let revision = model.history.commit(
      Operation(
        method: MaskLoad.name, summary: "masks from \(params.path)",
        details: OrderedDictionary(uniqueKeysWithValues: metadata.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }),
        calibration: calibration(inProvenance: metadata)),
      tensors: replaced)
    return MaskLoad.result(
      PrunedFacts(model: model.name, revision, tensors: masks.keys),
      provenance: metadata.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
  }
}

extension Compression.MaskEdit {
  /// Nil for a verb that the wire has not let through.
  init?(_ edit: WireTypes.MaskEdit.Edit) {
    guard let verb = Verb(rawValue: edit.op) else { return nil }
    switch edit.place {
    case .tensor(let name): self.init(verb, .tensor(name))
    case .rows(let name, let rows): self.init(verb, .rows(tensor: name, rows))
    case .columns(let name, let columns): self.init(verb, .columns(tensor: name, columns))
    case .indices(let name, let indices): self.init(verb, .indices(tensor: name, indices))
    case .heads(let layer, let heads): self.init(verb, .heads(layer: layer, heads))
    case .neurons(let layer, let neurons): self.init(verb, .neurons(layer: layer, neurons))
    case .channels(let channels): self.init(verb, .channels(channels))
    case .layers(let layers): self.init(verb, .layers(layers))
    }
  }
}
