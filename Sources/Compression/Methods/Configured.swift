// A method with its parameters filled in.

package import OrderedCollections
import Tensors

/// A method ready to work: itself and one value for each parameter that it describes.
package struct Configured<Method: Sendable>: Sendable {
  package let method: Method
  /// In the order of the method's own description.
  package let parameters: OrderedDictionary<String, ParameterValue>

  package init(_ method: Method, parameters: OrderedDictionary<String, ParameterValue> = [:]) {
    self.method = method
    self.parameters = parameters
  }

  var values: [ParameterValue] { Array(parameters.values) }

  /// One line for logs: `wanda` or `wanda (normExponent 0.5)`.
  fileprivate func summary(_ id: String) -> String {
    let values = parameters.map { name, value in "\(name) \(value)" }
    return values.isEmpty ? id : "\(id) (\(values.joined(separator: ", ")))"
  }
}

/// A selector ready to score.
package typealias Criterion = Configured<any Selector>

extension Configured where Method == any Selector {
  package var description: SelectorDescription { method.description }
  package var id: String { description.method.id }
  package var summary: String { summary(id) }

  /// What it needs to know with these parameters.
  package func statistics(hasDataset: Bool) -> StatisticsNeed {
    method.statistics(parameters: values, hasDataset: hasDataset)
  }

  /// Scores one matrix.
  /// - Throws: `CompressionError.nonFiniteScores`, `Cancelled`, or what the selector throws.
  func score(_ input: MatrixInput, monitor: Monitor, diagnostics: Diagnostics) throws -> ScoreMatrix {
    let matrix = ScoreMatrix(rows: input.rows, columns: input.columns)
    try method.score(
      input, parameters: values, into: matrix.values.values, monitor: monitor, diagnostics: diagnostics)
    try monitor.checkCancelled()
    if matrix.range == nil, let index = matrix.firstNaN {
      throw CompressionError.nonFiniteScores(plugin: id, tensor: input.tensor, index: index)
    }
    return matrix
  }
}

extension Configured where Method == any Solver {
  package var id: String { method.description.method.id }
  package var summary: String { summary(id) }
}

extension Configured where Method == any Compensator {
  package var id: String { method.description.method.id }
  package var summary: String { summary(id) }
}

extension Configured where Method == any BlockCompensator {
  package var id: String { method.description.id }
  package var summary: String { summary(id) }
}

extension Configured where Method == any Refiner {
  package var id: String { method.description.id }
  package var summary: String { summary(id) }
}

extension Configured where Method == any Objective {
  package var id: String { method.description.method.id }
  package var summary: String { summary(id) }
}

extension Configured where Method == any FeatureObjective {
  package var id: String { method.description.method.id }
  package var summary: String { summary(id) }
}

extension Configured where Method == any Reward {
  package var id: String { method.description.method.id }
  package var summary: String { summary(id) }
}

extension Configured where Method == any Allocator {
  package var id: String { method.description.method.id }
  package var summary: String { summary(id) }
}
