// The contract of a criterion for structures that are cut out whole: heads, neurons, channels, layers.

package import Tensors

/// A kind of structure.
package enum UnitKind: String, Sendable, CaseIterable {
  case head, neuron, channel, layer
}

package struct UnitSelectorDescription: Sendable, Equatable {
  package let method: MethodDescription
  package let units: Set<UnitKind>
  /// Whether the loss without each layer must be measured first.
  package let needsLosses: Bool
  /// `.matrix`: units compete within their layer; `.global`: in the whole model.
  package let defaultGroup: MaskGroup

  package init(method: MethodDescription, units: Set<UnitKind>, needsLosses: Bool, defaultGroup: MaskGroup) {
    self.method = method
    self.units = units
    self.needsLosses = needsLosses
    self.defaultGroup = defaultGroup
  }
}

/// The units that are ranked together, and what is known about them.
package struct UnitsInput {
  package let unit: UnitKind
  /// Heads and neurons: of this layer; nil otherwise.
  package let layer: Int?
  package let count: Int
  /// Columns of each of the matrices that belong to a unit; 1 for layers.
  package let width: Int
  /// Those that read the units, with the moments of their inputs; none for layers.
  package let matrices: [MatrixInput]
  /// Layers only: the sum over tokens of the cosine between the states that enter and leave each.
  package let cosineSums: [Double]
  /// Layers only: tokens of those sums.
  package let tokens: Int
  /// Layers only, if asked for: the loss in nats without each, and with all.
  package let lossesWithout: [Double]
  package let loss: Double

  package init(
    unit: UnitKind, layer: Int?, count: Int, width: Int, matrices: [MatrixInput], cosineSums: [Double] = [],
    tokens: Int = 0, lossesWithout: [Double] = [], loss: Double = 0
  ) {
    self.unit = unit
    self.layer = layer
    self.count = count
    self.width = width
    self.matrices = matrices
    self.cosineSums = cosineSums
    self.tokens = tokens
    self.lossesWithout = lossesWithout
    self.loss = loss
  }
}

package protocol UnitSelector: Sendable {
  var description: UnitSelectorDescription { get }

  /// One score for each unit, higher meaning more worth keeping. Called on a compute thread.
  /// - Throws: `Cancelled`, or the implementation's own error, also for scores that are NaN.
  func score(
    _ units: UnitsInput, parameters: [ParameterValue], monitor: Monitor, diagnostics: Diagnostics
  ) throws -> [Double]
}
