// Scores of structures from a unit selector: its matrices with the moments of their inputs, and what layers do.

import OrderedCollections
package import Tensors
import Transformers
package import Workspace

/// A unit selector ready to score.
package typealias UnitCriterion = Configured<any UnitSelector>

extension Configured where Method == any UnitSelector {
  package var description: UnitSelectorDescription { method.description }
  package var id: String { description.method.id }

  /// What goes through the model to score `target`.
  fileprivate func needsData(_ target: UnitTarget) -> Bool {
    target == .layer || description.method.statistics != .none
  }

  /// - Throws: `CompressionError` if the selector does not know these units, or cannot do without data.
  package func require(_ target: UnitTarget, hasDataset: Bool) throws(CompressionError) {
    guard target.kinds.allSatisfy(description.units.contains) else {
      throw .unitUnknown(
        plugin: id, unit: target.rawValue,
        known: UnitKind.allCases.filter(description.units.contains).map(\.rawValue))
    }
    if needsData(target), !hasDataset { throw .datasetRequired(plugin: id) }
  }
}

/// The scores of structures and how much of the calibration was remembered.
package struct UnitScoring: Sendable {
  package let scores: UnitScores
  package let reusedLayers: Int
  package let neededLayers: Int

  package init(scores: UnitScores, reusedLayers: Int, neededLayers: Int) {
    self.scores = scores
    self.reusedLayers = reusedLayers
    self.neededLayers = neededLayers
  }
}

/// Scores the structures of `state` for keeping.
/// - Parameter dataset: needed for layers, and if the selector declares statistics.
/// - Throws: `CompressionError`, `TransformerError`, `Cancelled`, or what the selector throws.
package func scoreUnits(
  _ state: ModelState, model: String, target: UnitTarget, criterion: UnitCriterion, dataset: Dataset?,
  store: StatisticsStore, compute: Compute, monitor: Monitor, diagnostics: Diagnostics
) throws -> UnitScoring {
  try criterion.require(target, hasDataset: dataset != nil)
  if target == .channel { try state.requireRemovableChannels() }
  let knowledge = try Knowledge(
    state, tensors: state.prunableTensors, need: target == .layer ? .none : criterion.description.method.statistics,
    dataset: dataset, plugin: criterion.id, store: store, compute: compute, monitor: monitor.part(0...0.8))
  let scorer = UnitScorer(
    state: state, criterion: criterion, knowledge: knowledge, compute: compute, monitor: monitor,
    diagnostics: diagnostics)
  let layers = state.transformer.shape.layers
  var groups: [UnitGroup] = []
  switch target {
  case .layer:
    guard let dataset else { throw CompressionError.datasetRequired(plugin: criterion.id) }
    groups = [try scorer.layers(on: dataset)]
  case .channel: groups = [try scorer.channels()]
  case .head, .neuron, .width:
    for layer in 0..<layers {
      monitor.report(0.8 + 0.2 * Double(layer) / Double(layers), "scoring layer \(layer + 1) of \(layers)")
      for unit in target.kinds { groups.append(try scorer.units(unit, layer: layer)) }
    }
  }
  let description = criterion.description
  let provenance = ScoreProvenance(
    model: model, revision: state.revision.id, plugin: criterion.id, pluginVersion: description.method.version,
    parameters: criterion.parameters, dataset: criterion.needsData(target) ? dataset?.digest : nil)
  return UnitScoring(
    scores: UnitScores(
      provenance: provenance, target: target,
      // Channels and layers are ranked in the whole model in any case.
      defaultGroup: description.defaultGroup == .global ? .global : .matrix, groups: groups),
    reusedLayers: knowledge.reusedLayers, neededLayers: knowledge.neededLayers)
}

/// Calls the selector, one group after the other.
private struct UnitScorer {
  let state: ModelState
  let criterion: UnitCriterion
  let knowledge: Knowledge
  let compute: Compute
  let monitor: Monitor
  let diagnostics: Diagnostics

  /// Heads or neurons of a layer.
  func units(_ unit: UnitKind, layer: Int) throws -> UnitGroup {
    let counts = state.transformer.unitCounts(layer: layer), isHead = unit == .head
    let inputs = state.transformer.linearInputs(layer: layer)
    return try score(
      unit, layer: layer, count: isHead ? counts.heads : counts.neurons,
      width: isHead ? state.transformer.headSize(layer: layer) : 1, readers: [inputs[isHead ? 1 : 3]])
  }

  /// Channels by the maps that read them: the first of each distinct input, for the moments are those of the input.
  func channels() throws -> UnitGroup {
    let readers = (0..<state.transformer.shape.layers).flatMap { layer in
      let inputs = state.transformer.linearInputs(layer: layer)
      return [inputs[0], inputs[2]]
    }
    return try score(.channel, layer: nil, count: state.transformer.shape.hiddenSize, width: 1, readers: readers)
  }

  func layers(on dataset: Dataset) throws -> UnitGroup {
    let needsLosses = criterion.description.needsLosses
    let measured = try measureLayers(
      state, dataset: dataset, losses: needsLosses, compute: compute, monitor: monitor.part(0...0.98))
    let count = state.transformer.shape.layers
    return try call(
      UnitsInput(
        unit: .layer, layer: nil, count: count, width: 1, matrices: [], cosineSums: measured.cosineSums,
        tokens: measured.tokens, lossesWithout: measured.lossesWithout, loss: measured.loss))
  }

  private func score(
    _ unit: UnitKind, layer: Int?, count: Int, width: Int, readers: [LinearInput]
  ) throws -> UnitGroup {
    let tensors = state.prunableTensors
    let maps = readers.compactMap { input in input.tensors.first.flatMap { tensors[$0] } }
    try requireMemory(maps.reduce(0) { $0 + 4 * $1.elementCount }, for: "Scoring \(count) \(unit.rawValue)s")
    let buffers = maps.map { tensor in FloatBuffer(count: tensor.elementCount) }
    let matrices = try zip(maps, buffers).map { tensor, buffer in
      let floats = state.revision.tensor(tensor.name).floats(orReadInto: buffer.pointer, pool: compute.pool)
      return MatrixInput(tensor, weights: floats, statistics: try knowledge.statistics(of: tensor))
    }
    return try withExtendedLifetime(buffers) {
      try call(UnitsInput(unit: unit, layer: layer, count: count, width: width, matrices: matrices))
    }
  }

  private func call(_ input: UnitsInput) throws -> UnitGroup {
    try monitor.checkCancelled()
    let scores = try criterion.method.score(
      input, parameters: criterion.values, monitor: Monitor(cancellation: monitor.cancellation),
      diagnostics: diagnostics)
    return try checkedGroup(unit: input.unit, layer: input.layer, scores: scores, count: input.count, plugin: criterion.id)
  }
}

/// A group whose scores can be ranked.
/// - Throws: `CompressionError.nonFiniteScores` for a NaN, and for a score too few or too many.
func checkedGroup(
  unit: UnitKind, layer: Int?, scores: [Double], count: Int, plugin: String
) throws(CompressionError) -> UnitGroup {
  let group = UnitGroup(unit: unit, layer: layer, scores: scores)
  if let index = scores.firstIndex(where: \.isNaN) ?? (scores.count == count ? nil : min(count, scores.count)) {
    throw .nonFiniteScores(plugin: plugin, tensor: group.words, index: index)
  }
  return group
}
