// The parts of importance/score, importance/query and mask/apply that are about units: heads, neurons, channels, layers.

import Checkpoints
import Compression
import JSON
import OrderedCollections
import PluginHost
import Tensors
import Transformers
import WireTypes
import Workspace

/// importance/score with a unit other than the weight: by a plugin that scores such units, or summed up from the scores
/// of a plugin for weights.
func scoreUnits(_ params: ImportanceScore.Params, _ context: ServerContext) throws -> Plan {
  guard let target = UnitTarget(rawValue: params.unit) else {
    throw CompressionError.unitRequestInvalid(reason: "\"\(params.unit)\" is no unit")
  }
  if params.criterion.modules != nil {
    throw CompressionError.unitRequestInvalid(reason: "units lie in several tensors; leave `modules` out")
  }
  let model = try context.model(params.model)
  let state = try model.state(params.revision)
  if target == .channel { try state.requireRemovableChannels() }
  let dataset = try params.criterion.dataset.map(context.uniformDataset)
  let score = try context.unitScoring(params, state: state, target: target, dataset: dataset)
  return .work(.compute) { monitor in
    let start = monotonicSeconds(), diagnostics = Diagnostics(tensors: state.prunableTensors.keys)
    let scoring = try score(monitor, diagnostics)
    try model.checkpoint.requireIntact()
    let name = try context.keep(scoring.scores, of: model, in: context.unitScores)
    return ImportanceScore.result(
      ScoresFacts(name, scoring.scores),
      statistics: StatisticsFacts(reusedLayers: scoring.reusedLayers, neededLayers: scoring.neededLayers),
      units: scoring.scores.groups.map(UnitGroupFacts.init), diagnostics: diagnostics.json,
      seconds: monotonicSeconds() - start)
  }
}

extension ServerContext {
  /// How the units of a request are scored.
  fileprivate func unitScoring(
    _ params: ImportanceScore.Params, state: ModelState, target: UnitTarget, dataset: Dataset?
  ) throws -> @Sendable (Monitor, Diagnostics) throws -> UnitScoring {
    let compute = try compute()
    let kinds = try plugins.describe(id: params.criterion.plugin).methods.map(\.kind)
    if kinds.contains(.unitSelector) || !kinds.contains(.selector) {
      let criterion = try unitCriterion(params.criterion)
      try criterion.require(target, hasDataset: dataset != nil)
      guard params.terms.isEmpty else {
        throw CompressionError.termsInvalid(plugin: criterion.id, reason: "it takes none")
      }
      if params.training != nil {
        throw CompressionError.unitRequestInvalid(
          reason: "\(criterion.id) scores units as they are; leave `training` out")
      }
      return { monitor, diagnostics in
        try Compression.scoreUnits(
          state, model: params.model, target: target, criterion: criterion, dataset: dataset, store: self.statistics,
          compute: compute, monitor: monitor, diagnostics: diagnostics)
      }
    }
    let request = try scoringRequest(params)
    return { monitor, diagnostics in
      let weights = try Compression.score(
        state, model: params.model, tensors: state.prunableTensors, request: request, store: self.statistics,
        compute: compute, monitor: monitor.part(0...0.9), diagnostics: diagnostics)
      let units = try aggregateUnits(
        weights.scores, state: state, target: target, compute: compute, monitor: monitor.part(0.9...1))
      return UnitScoring(
        scores: units, reusedLayers: weights.reusedLayers, neededLayers: weights.neededLayers)
    }
  }

  /// The unit selector of a request.
  /// - Throws: `PluginError`; `JSONFieldError` for parameters that are unknown or out of range.
  private func unitCriterion(_ param: CriterionParam) throws -> UnitCriterion {
    let selector = try plugins.unitSelector(id: param.plugin)
    return UnitCriterion(
      selector, parameters: try values(selector.description.method, param.parameters, at: "params.parameters"))
  }
}

/// importance/query about scores of units.
func queryUnits(_ units: UnitScores, _ params: ImportanceQuery.Params) throws -> Plan {
  guard case .units(let layer, let encoding) = params.question else {
    throw CompressionError.unitRequestInvalid(
      reason: "\(params.scores) are of the unit \"\(units.target.rawValue)\", which has no `tensor`; ask with `layer`, "
        + "or with nothing for all")
  }
  let groups = units.groups.filter { layer == nil || $0.layer == layer }
  guard !groups.isEmpty else {
    throw CompressionError.unitRequestInvalid(reason: "\(params.scores) hold nothing about layer \(layer ?? 0)")
  }
  let count = groups.reduce(0) { $0 + $1.scores.count }, limit = 1 << 16
  guard count <= limit else { throw CompressionError.regionTooLarge(values: count, maximum: limit) }
  return .answer(
    ImportanceQuery.result(scores: params.scores, units: groups.map(UnitGroupFacts.init), encoding: encoding))
}

/// mask/apply by scores of units.
func applyUnits(_ units: UnitScores, _ params: MaskApply.Params, _ context: ServerContext) throws -> Plan {
  let model = try context.model(params.model), provenance = units.provenance
  guard provenance.model == params.model else {
    throw CompressionError.scoresOfAnotherModel(scores: params.scores, model: provenance.model)
  }
  guard case .ratio(let ratio) = try SparsityTarget(params.target) else {
    throw CompressionError.unitRequestInvalid(reason: "a pattern is for weights; give `sparsity`")
  }
  if params.modules != nil {
    throw CompressionError.unitRequestInvalid(reason: "units lie in several tensors; leave `modules` out")
  }
  if params.allocation != nil {
    throw CompressionError.unitRequestInvalid(
      reason: "an allocation is for weights; the group \"global\" shares out units")
  }
  if params.ties != Ties.first.rawValue {
    throw CompressionError.unitRequestInvalid(reason: "of units with equal scores the first go; leave `ties` out")
  }
  let group = params.group.flatMap(MaskGroup.init) ?? units.defaultGroup
  return .work(.interactive) { monitor in
    let start = monotonicSeconds(), diagnostics = Diagnostics()
    // Beside the masks of what was scored, so that another ratio takes the place of this one.
    let scored = try model.state(provenance.revision)
    let choices = try selectUnits(
      units, model: model.transformer, ratio: ratio, group: group, uniform: params.uniform ?? false,
      diagnostics: diagnostics)
    let masks = try unitMasks(choices, of: scored)
    try monitor.checkCancelled()
    var details = scoreDetails(provenance)
    details["unit"] = units.target.rawValue
    details["sparsity"] = "\(ratio)"
    details["group"] = group.rawValue
    if let uniform = params.uniform { details["uniform"] = "\(uniform)" }
    let operation = Operation(
      method: MaskApply.name,
      summary: "\(provenance.plugin), unit \(units.target.rawValue), \(SparsityTarget.ratio(ratio).words), "
        + "group \(group.rawValue)",
      details: details, calibration: provenance.calibration)
    let blobs = masks.map { name, mask in (name, mask.map(MaskBlob.init)) }
    let revision = model.history.commit(
      operation,
      tensors: model.history.current.replacing(masks: Dictionary(uniqueKeysWithValues: blobs)))
    return MaskApply.result(
      PrunedFacts(model: model.name, revision, tensors: masks.keys),
      units: zip(units.groups, choices).map { ($0.unit.rawValue, $0.layer, $0.scores.count, $1.cut.count) },
      diagnostics: diagnostics.json, seconds: monotonicSeconds() - start)
  }
}

extension ScoresFacts {
  init(_ name: String, _ units: UnitScores) {
    let provenance = units.provenance
    self.init(
      scores: name, model: provenance.model, revision: provenance.revision, plugin: provenance.plugin,
      parameters: provenance.parameters.map { ($0.key, $0.value.json) }, dataset: provenance.dataset,
      group: units.defaultGroup.rawValue, bytes: units.bytes, unit: units.target.rawValue)
  }
}

extension UnitGroupFacts {
  init(_ group: UnitGroup) {
    self.init(unit: group.unit.rawValue, layer: group.layer, scores: group.scores)
  }
}
