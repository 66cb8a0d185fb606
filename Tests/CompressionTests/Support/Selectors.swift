// Pruning criteria written for these tests: the engine is tested without plugins.

import Compression
import OrderedCollections
import Tensors

/// Score = |w|.
struct Magnitude: Selector {
  let description = SelectorDescription(
    method: MethodDescription(id: "magnitude", version: "1", summary: ""), defaultGroup: .matrix)

  func score(
    _ input: MatrixInput, parameters: [ParameterValue], into scores: UnsafeMutableBufferPointer<Float>,
    monitor: Monitor, diagnostics: Diagnostics
  ) throws {
    guard let weights = input.weights.baseAddress, let out = scores.baseAddress else { return }
    for index in 0..<scores.count { out[index] = weights[index].magnitude }
  }
}

/// Score = |w| sqrt(mean over sequences of the sum of squares of its input). (Sun et al. 2023, eq. 1)
struct Wanda: Selector {
  let description = SelectorDescription(
    method: MethodDescription(id: "wanda", version: "1", summary: "", statistics: .moments), defaultGroup: .row)

  func score(
    _ input: MatrixInput, parameters: [ParameterValue], into scores: UnsafeMutableBufferPointer<Float>,
    monitor: Monitor, diagnostics: Diagnostics
  ) throws {
    guard let weights = input.weights.baseAddress, let out = scores.baseAddress, let moments = input.statistics.input.moments else {
      return
    }
    let norms = moments.sumOfSquares.map { Float($0 / Double(moments.sequences)).squareRoot() }
    norms.withUnsafeBufferPointer { norms in
      guard let norms = norms.baseAddress else { return }
      for row in 0..<input.rows {
        let start = row * input.columns
        for column in 0..<input.columns { out[start + column] = weights[start + column].magnitude * norms[column] }
      }
    }
  }
}

/// Writes what a closure says.
struct Custom: Selector {
  let description: SelectorDescription
  let body: @Sendable (MatrixInput, [ParameterValue], UnsafeMutableBufferPointer<Float>, Monitor) throws -> Void

  init(
    statistics: StatisticsNeed = .none, parameters: [ParameterDescription] = [],
    _ body: @escaping @Sendable (
      MatrixInput, [ParameterValue], UnsafeMutableBufferPointer<Float>, Monitor
    ) throws -> Void
  ) {
    description = SelectorDescription(
      method: MethodDescription(
        id: "custom", version: "1", summary: "", statistics: statistics, parameters: parameters),
      defaultGroup: .matrix)
    self.body = body
  }

  func score(
    _ input: MatrixInput, parameters: [ParameterValue], into scores: UnsafeMutableBufferPointer<Float>,
    monitor: Monitor, diagnostics: Diagnostics
  ) throws { try body(input, parameters, scores, monitor) }
}

