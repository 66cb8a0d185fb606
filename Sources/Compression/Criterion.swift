// A selector with its parameters filled in.

package import OrderedCollections
import Tensors
import Workspace

/// A selector ready to score: the plugin and one value for each parameter that it describes.
package struct Criterion: Sendable {
  package let selector: any Selector
  /// In the order of the selector's own description.
  package let parameters: OrderedDictionary<String, ParameterValue>

  package init(selector: any Selector, parameters: OrderedDictionary<String, ParameterValue>) {
    self.selector = selector
    self.parameters = parameters
  }

  package var description: SelectorDescription { selector.description }

  /// Scores one tensor of `state`.
  /// - Parameter scratch: at least as many floats as the tensor has, used if its weights have to be converted.
  /// - Throws: `CompressionError.nonFiniteScores`, `Cancelled`, or what the selector throws.
  func score(
    _ tensor: PrunableTensor, of weights: any WeightSource, moments: Moments?, scratch: FloatBuffer,
    compute: Compute, monitor: Monitor
  ) throws -> ScoreMatrix {
    let matrix = ScoreMatrix(rows: tensor.rows, columns: tensor.columns)
    let floats = weights.tensor(tensor.name).floats(orReadInto: scratch.pointer, pool: compute.pool)
    let input = SelectorInput(
      tensor: tensor.name, layer: tensor.layer, rows: tensor.rows, columns: tensor.columns,
      weights: UnsafeBufferPointer(start: floats, count: tensor.elementCount), moments: moments)
    try selector.score(
      input, parameters: Array(parameters.values), into: matrix.values.values, monitor: monitor)
    try monitor.checkCancelled()
    if matrix.range == nil, let index = matrix.firstNaN {
      throw CompressionError.nonFiniteScores(plugin: description.id, tensor: tensor.name, index: index)
    }
    return matrix
  }

  /// The moments that the selector asked for, and a clear error if it asked in vain.
  func calibration(
    _ state: ModelState, dataset: Dataset?, lastLayer: Int, cache: CalibrationCache, compute: Compute,
    monitor: Monitor
  ) throws -> Calibration? {
    guard description.statistics == .moments else { return nil }
    guard let dataset else { throw CompressionError.datasetRequired(plugin: description.id) }
    return try calibrate(
      state, dataset: dataset, lastLayer: lastLayer, cache: cache, compute: compute, monitor: monitor)
  }

  /// One line for logs: `wanda` or `wanda (normExponent 0.5)`.
  package var summary: String {
    let values = parameters.map { name, value in "\(name) \(value)" }
    return values.isEmpty ? description.id : "\(description.id) (\(values.joined(separator: ", ")))"
  }
}

extension ParameterValue: CustomStringConvertible {
  package var description: String {
    switch self {
    case .number(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .boolean(let value): "\(value)"
    }
  }
}

extension OrderedDictionary where Key == String, Value == PrunableTensor {
  /// Elements of the largest of the tensors.
  var largestElementCount: Int { values.map(\.elementCount).max() ?? 0 }
  var lastLayer: Int { values.map(\.layer).max() ?? 0 }
}
