// Importance values of structures, and how they came about.

/// What is scored and cut in one request: one kind of structure, or heads and neurons together.
package enum UnitTarget: String, Sendable, CaseIterable {
  case head, neuron, channel, layer, width

  package var kinds: [UnitKind] {
    switch self {
    case .head: [.head]
    case .neuron: [.neuron]
    case .channel: [.channel]
    case .layer: [.layer]
    case .width: [.head, .neuron]
    }
  }
}

/// Structures that compete with each other before any others: those of one kind in one layer, or in the whole model.
package struct UnitGroup: Sendable, Equatable {
  package let unit: UnitKind
  /// Nil for channels and layers.
  package let layer: Int?
  /// Higher means more worth keeping; none is NaN.
  package let scores: [Double]

  package init(unit: UnitKind, layer: Int?, scores: [Double]) {
    self.unit = unit
    self.layer = layer
    self.scores = scores
  }

  /// For messages: `the heads of layer 3`.
  package var words: String { "the \(unit.rawValue)s" + (layer.map { " of layer \($0)" } ?? "") }
}

/// Immutable scores of a model's structures.
package final class UnitScores: Sendable {
  package let provenance: ScoreProvenance
  package let target: UnitTarget
  package let defaultGroup: MaskGroup
  /// Layer by layer, heads before neurons.
  package let groups: [UnitGroup]

  package init(provenance: ScoreProvenance, target: UnitTarget, defaultGroup: MaskGroup, groups: [UnitGroup]) {
    self.provenance = provenance
    self.target = target
    self.defaultGroup = defaultGroup
    self.groups = groups
  }

  package var bytes: Int { groups.reduce(0) { $0 + 8 * $1.scores.count } }
  package var count: Int { groups.reduce(0) { $0 + $1.scores.count } }
}
