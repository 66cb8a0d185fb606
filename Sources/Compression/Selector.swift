// The contract of a pruning criterion: scores out of weights and statistics, never masks.
// PluginHost adapts shared libraries to it; this module does not know that plugins exist.

package import Tensors

/// What a selector needs to know of the inputs of a linear map.
package enum StatisticsNeed: String, Sendable {
  /// Weights only: no dataset is needed.
  case none
  /// Per-input moments over a calibration dataset (`Moments`).
  case moments
}

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
}

/// First and second moments of the inputs x of one linear map, over all tokens of a calibration dataset.
/// Each array has one element per input (column of the weight matrix); sums are in double.
package struct Moments: Sendable, Equatable {
  package var sequences: Int
  package var tokens: Int
  package var sum: [Double]
  package var sumOfSquares: [Double]
  package var sumOfMagnitudes: [Double]

  package init(inputs: Int) {
    sequences = 0
    tokens = 0
    sum = Array(repeating: 0, count: inputs)
    sumOfSquares = sum
    sumOfMagnitudes = sum
  }
}

/// A parameter that a selector takes, as it describes it.
package struct ParameterDescription: Sendable, Equatable {
  package enum Kind: Sendable, Equatable {
    case number(default: Double, minimum: Double, maximum: Double)
    case integer(default: Int64, minimum: Int64, maximum: Int64)
    case boolean(default: Bool)
  }
  package let name: String
  package let summary: String
  package let kind: Kind

  package init(name: String, summary: String, kind: Kind) {
    self.name = name
    self.summary = summary
    self.kind = kind
  }
}

package enum ParameterValue: Sendable, Equatable {
  case number(Double)
  case integer(Int64)
  case boolean(Bool)
}

/// Who a selector is and what it asks for.
package struct SelectorDescription: Sendable, Equatable {
  /// Kebab-case word of the field, unique among the loaded plugins: `magnitude`, `wanda`.
  package let id: String
  package let version: String
  package let summary: String
  package let statistics: StatisticsNeed
  /// The comparison group of the method as published.
  package let defaultGroup: MaskGroup
  package let parameters: [ParameterDescription]

  package init(
    id: String, version: String, summary: String, statistics: StatisticsNeed, defaultGroup: MaskGroup,
    parameters: [ParameterDescription]
  ) {
    self.id = id
    self.version = version
    self.summary = summary
    self.statistics = statistics
    self.defaultGroup = defaultGroup
    self.parameters = parameters
  }
}

/// One weight matrix as a selector sees it. Pointers are valid during the call only.
package struct SelectorInput {
  package let tensor: String
  /// Index of the transformer layer, nil for a tensor outside the layers.
  package let layer: Int?
  /// Outputs of the linear map.
  package let rows: Int
  /// Inputs of the linear map.
  package let columns: Int
  /// `[rows, columns]`, row-major, fp32; pruned weights are zero.
  package let weights: UnsafeBufferPointer<Float>
  /// Present exactly if the selector declared `.moments`.
  package let moments: Moments?

  package init(
    tensor: String, layer: Int?, rows: Int, columns: Int, weights: UnsafeBufferPointer<Float>, moments: Moments?
  ) {
    self.tensor = tensor
    self.layer = layer
    self.rows = rows
    self.columns = columns
    self.weights = weights
    self.moments = moments
  }
}

/// A pruning criterion.
package protocol Selector: Sendable {
  var description: SelectorDescription { get }

  /// Writes one score per weight, higher meaning more worth keeping, to `scores` (`[rows, columns]`, row-major).
  /// Deterministic: same input and parameters, same bits. Called on a compute thread.
  /// - Parameter parameters: one value per described parameter, in that order, within its bounds.
  /// - Throws: `Cancelled` if it stopped because the monitor asked for it; otherwise the implementation's own error.
  func score(
    _ input: SelectorInput, parameters: [ParameterValue], into scores: UnsafeMutableBufferPointer<Float>,
    monitor: Monitor
  ) throws
}
