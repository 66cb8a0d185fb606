// What tests of units share: cutting units by hand, shrinking, exporting, and what a model computes.

import Checkpoints
import Compression
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

/// A model with the checkpoint that belongs to it.
struct Shrinkable {
  let state: ModelState
  let checkpoint: Checkpoint

  init(_ state: ModelState, _ checkpoint: Checkpoint) {
    self.state = state
    self.checkpoint = checkpoint
  }

  init(_ name: String) throws {
    let model = try TestModel(tiny: name)
    self.init(model.state, model.checkpoint)
  }

  init(path: String) throws {
    let model = try TestModel(path: path)
    self.init(model.state, model.checkpoint)
  }

  /// With these units pruned as well.
  func cutting(_ choices: [UnitChoice]) throws -> Shrinkable {
    let masks = try unitMasks(choices, of: state)
    let blobs = masks.map { name, mask in (name, mask.map(MaskBlob.init)) }
    return replacing(Dictionary(uniqueKeysWithValues: blobs))
  }

  func replacing(_ masks: [String: MaskBlob?]) -> Shrinkable {
    let tensors = state.revision.replacing(masks: masks)
    return Shrinkable(ModelState(transformer: state.transformer, revision: Self.root(tensors)), checkpoint)
  }

  func replacing(_ tensors: OrderedDictionary<String, StoredTensor>) -> Shrinkable {
    Shrinkable(ModelState(transformer: state.transformer, revision: Self.root(tensors)), checkpoint)
  }

  func shrunk(
    _ options: ShrinkOptions = ShrinkOptions(), diagnostics: Diagnostics = Diagnostics()
  ) throws -> (model: Shrinkable, result: ShrunkModel) {
    let result = try shrink(
      state, configuration: checkpoint.configuration, options: options, monitor: Monitor(), diagnostics: diagnostics)
    let derived = checkpoint.deriving(
      configuration: result.configuration, tensors: result.tensors.mapValues(\.weights.view))
    return (
      Shrinkable(ModelState(transformer: result.transformer, revision: Self.root(result.tensors)), derived), result
    )
  }

  func exported(to path: String) throws -> Shrinkable {
    _ = try exportHuggingFace(
      state, checkpoint: checkpoint, to: path, replacing: false, provenance: [:], monitor: Monitor())
    return try Shrinkable(path: path)
  }

  private static func root(_ tensors: OrderedDictionary<String, StoredTensor>) -> Revision {
    History(tensors: tensors, operation: Operation(method: "test", summary: "")).current
  }

  /// The logits behind some tokens, by the decoding pass, and the losses of two sequences, by the forward pass.
  func outputs(_ dataset: Dataset) throws -> [Double] {
    let tokens = Array(dataset.tokens[..<dataset.sequenceLength])
    let pass = DecodingPass(
      state.transformer, weights: state.revision, capacities: [tokens.count], compute: try Engine.compute)
    let logits = try pass.prefill(tokens, sequence: 0, cancellation: Cancellation())
    let values = (0..<state.transformer.shape.vocabularySize).map { Double(logits[$0]) }
    let losses = try evaluatePerplexity(state, dataset: dataset, compute: try Engine.compute, monitor: Monitor())
    return values + losses.perWindow
  }
}

extension UnitChoice {
  static func heads(_ layer: Int, _ cut: [Int]) -> UnitChoice { UnitChoice(unit: .head, layer: layer, cut: cut) }
  static func neurons(_ layer: Int, _ cut: [Int]) -> UnitChoice { UnitChoice(unit: .neuron, layer: layer, cut: cut) }
  static func channels(_ cut: [Int]) -> UnitChoice { UnitChoice(unit: .channel, layer: nil, cut: cut) }
  static func layers(_ cut: [Int]) -> UnitChoice { UnitChoice(unit: .layer, layer: nil, cut: cut) }
}

/// The largest difference over the largest value.
func relativeDifference(_ a: [Double], _ b: [Double]) -> Double {
  guard a.count == b.count else { return .infinity }
  let largest = b.map(\.magnitude).max() ?? 1
  return (zip(a, b).map { ($0 - $1).magnitude }.max() ?? .infinity) / largest
}

/// Scores of units that say what a closure says.
struct CustomUnits: UnitSelector {
  let description: UnitSelectorDescription
  let body: @Sendable (UnitsInput) throws -> [Double]

  init(
    _ units: Set<UnitKind> = Set(UnitKind.allCases), statistics: StatisticsNeed = .none, needsLosses: Bool = false,
    group: MaskGroup = .matrix, _ body: @escaping @Sendable (UnitsInput) throws -> [Double]
  ) {
    description = UnitSelectorDescription(
      method: MethodDescription(id: "custom-units", version: "1", summary: "", statistics: statistics), units: units,
      needsLosses: needsLosses, defaultGroup: group)
    self.body = body
  }

  func score(
    _ units: UnitsInput, parameters: [ParameterValue], monitor: Monitor, diagnostics: Diagnostics
  ) throws -> [Double] { try body(units) }

  /// Scores of the golden's model.
  func scores(
    _ model: Shrinkable, _ target: UnitTarget, dataset: Dataset? = nil, diagnostics: Diagnostics = Diagnostics()
  ) throws -> UnitScores {
    try scoreUnits(
      model.state, model: "m", target: target, criterion: UnitCriterion(self), dataset: dataset,
      store: Engine.store(), compute: Engine.compute, monitor: Monitor(), diagnostics: diagnostics
    ).scores
  }
}

extension UnitScores {
  /// Scores by hand.
  convenience init(_ target: UnitTarget, _ groups: [UnitGroup]) {
    self.init(
      provenance: ScoreProvenance(
        model: "m", revision: "r0", plugin: "p", pluginVersion: "1", parameters: [:], dataset: nil),
      target: target, defaultGroup: .matrix, groups: groups)
  }
}
