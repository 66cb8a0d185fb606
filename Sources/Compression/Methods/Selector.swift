// The contract of a pruning criterion: scores out of weights and statistics, never masks.
// PluginHost adapts shared libraries to it; this module does not know that plugins exist.

package import Tensors

/// Within what set of weights scores compete for being kept.
package enum MaskGroup: String, Sendable, CaseIterable {
  /// All weights of one tensor together.
  case matrix
  /// Each output row by itself.
  case row
  /// Each input column by itself.
  case column
  /// All weights of all chosen tensors together.
  case global

  /// What this comes to for `target`: a pattern brings its own groups, which are no wider than a tensor.
  package func within(_ target: SparsityTarget) -> MaskGroup {
    if case .pattern = target, self == .global { return .matrix }
    return self
  }
}

/// Who a selector is and what it asks for.
package struct SelectorDescription: Sendable, Equatable {
  package let method: MethodDescription
  /// The comparison group of the method as published.
  package let defaultGroup: MaskGroup
  /// Names of scores from elsewhere that clients may add.
  package let terms: [String]
  /// The compensator that the method was published with, by id; nil for none.
  package let compensator: String?
  /// How often a run scores and compensates on its way to the sparsity.
  package let rounds: Int

  package init(
    method: MethodDescription, defaultGroup: MaskGroup, terms: [String] = [], compensator: String? = nil,
    rounds: Int = 1
  ) {
    self.method = method
    self.defaultGroup = defaultGroup
    self.terms = terms
    self.compensator = compensator
    self.rounds = rounds
  }
}

/// A pruning criterion.
package protocol Selector: Sendable {
  var description: SelectorDescription { get }

  /// What it needs to know under these parameters, of what its description states at most. Pure and quick.
  /// - Parameter hasDataset: whether there is calibration data: a method that can do without may then ask for none.
  func statistics(parameters: [ParameterValue], hasDataset: Bool) -> StatisticsNeed

  /// Writes one score per weight, higher meaning more worth keeping, to `scores` (`[rows, columns]`, row-major).
  /// Deterministic: same input and parameters, same bits. Called on a compute thread.
  /// - Parameter parameters: one value per described parameter, in that order, within its bounds.
  /// - Throws: `Cancelled` if it stopped because the monitor asked for it; otherwise the implementation's own error.
  func score(
    _ input: MatrixInput, parameters: [ParameterValue], into scores: UnsafeMutableBufferPointer<Float>,
    monitor: Monitor, diagnostics: Diagnostics
  ) throws
}

extension Selector {
  package func statistics(parameters: [ParameterValue], hasDataset: Bool) -> StatisticsNeed {
    description.method.statistics
  }
}
