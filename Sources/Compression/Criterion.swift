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
  package var id: String { description.method.id }

  /// What it needs to know with these parameters.
  package func statistics(hasDataset: Bool) -> StatisticsNeed {
    selector.statistics(parameters: Array(parameters.values), hasDataset: hasDataset)
  }

  /// Scores one tensor of `state`.
  /// - Parameter scratch: at least as many floats as the tensor has, used if its weights have to be converted.
  /// - Throws: `CompressionError.nonFiniteScores`, `Cancelled`, or what the selector throws.
  func score(
    _ tensor: PrunableTensor, of weights: any WeightSource, statistics: MatrixStatistics,
    terms: [(name: String, scores: ScoreMatrix)] = [], scratch: FloatBuffer, compute: Compute, monitor: Monitor,
    diagnostics: Diagnostics
  ) throws -> ScoreMatrix {
    let matrix = ScoreMatrix(rows: tensor.rows, columns: tensor.columns)
    let floats = weights.tensor(tensor.name).floats(orReadInto: scratch.pointer, pool: compute.pool)
    let input = MatrixInput(
      tensor: tensor.name, layer: tensor.layer, rows: tensor.rows, columns: tensor.columns,
      weights: UnsafeBufferPointer(start: floats, count: tensor.elementCount), statistics: statistics, terms: terms)
    try selector.score(
      input, parameters: Array(parameters.values), into: matrix.values.values, monitor: monitor,
      diagnostics: diagnostics)
    try monitor.checkCancelled()
    if matrix.range == nil, let index = matrix.firstNaN {
      throw CompressionError.nonFiniteScores(plugin: id, tensor: tensor.name, index: index)
    }
    return matrix
  }

  /// The statistics of inputs that the selector asked for, and a clear error if it asked in vain.
  func calibration(
    _ state: ModelState, dataset: Dataset?, lastLayer: Int, store: StatisticsStore, compute: Compute,
    monitor: Monitor
  ) throws -> Calibration? {
    let need = statistics(hasDataset: dataset != nil)
    guard need.areOfInputs else { return nil }
    guard let dataset else { throw CompressionError.datasetRequired(plugin: id) }
    return try calibrate(
      state, dataset: dataset, need: need, layers: 0..<lastLayer + 1, store: store, compute: compute,
      monitor: monitor)
  }

  /// One line for logs: `wanda` or `wanda (normExponent 0.5)`.
  package var summary: String {
    let values = parameters.map { name, value in "\(name) \(value)" }
    return values.isEmpty ? id : "\(id) (\(values.joined(separator: ", ")))"
  }
}

extension OrderedDictionary where Key == String, Value == PrunableTensor {
  /// Elements of the largest of the tensors.
  var largestElementCount: Int { values.map(\.elementCount).max() ?? 0 }
  var lastLayer: Int { values.map(\.layer).max() ?? 0 }
}
