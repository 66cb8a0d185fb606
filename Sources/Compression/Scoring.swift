// Importance scores of a model at one revision, tensor by tensor.

package import OrderedCollections
package import Tensors
package import Workspace

/// The scores of some tensors and how much of the calibration was remembered.
package struct Scoring: Sendable {
  package let scores: ScoreSet
  /// Layers whose statistics were computed earlier, of those that were needed.
  package let reusedLayers: Int
  package let neededLayers: Int
}

/// Scores `tensors` of `state` for keeping.
/// - Parameters:
///   - model: the name under which the scores say what they are of.
///   - dataset: calibration data; needed if the selector declares statistics.
/// - Throws: `CompressionError`, `TransformerError`, `Cancelled`, or what the selector throws.
package func score(
  _ state: ModelState, model: String, tensors: OrderedDictionary<String, PrunableTensor>, criterion: Criterion,
  dataset: Dataset?, store: StatisticsStore, compute: Compute, monitor: Monitor, diagnostics: Diagnostics
) throws -> Scoring {
  let (matrices, calibration) = try scoreMatrices(
    state, tensors: tensors, criterion: criterion, dataset: dataset, cache: store, compute: compute,
    monitor: monitor.part(0...0.9), diagnostics: diagnostics)
  let scored = try summarised(matrices, pool: compute.pool, monitor: monitor)
  let description = criterion.description
  let provenance = ScoreProvenance(
    model: model, revision: state.revision.id, plugin: description.method.id,
    pluginVersion: description.method.version,
    parameters: criterion.parameters, dataset: calibration == nil ? nil : dataset?.digest)
  return Scoring(
    scores: ScoreSet(provenance: provenance, defaultGroup: description.defaultGroup, tensors: scored),
    reusedLayers: calibration?.reusedLayers ?? 0, neededLayers: calibration?.layers.count ?? 0)
}

/// The matrices with their summaries.
private func summarised(
  _ matrices: OrderedDictionary<String, ScoreMatrix>, pool: ComputePool, monitor: Monitor
) throws(Cancelled) -> OrderedDictionary<String, TensorScores> {
  var summaries = [ScoreSummary?](repeating: nil, count: matrices.count)
  summaries.withUnsafeMutableBufferPointer { summaries in
    pool.parallelFor(matrices.count, cancellation: monitor.cancellation) { index, _ in
      summaries[index] = ScoreSummary(matrices.values[index], pool: pool)
    }
  }
  try monitor.checkCancelled()
  var scored: OrderedDictionary<String, TensorScores> = [:]
  for (tensor, summary) in zip(matrices, summaries) {
    guard let summary else { continue }
    scored[tensor.key] = TensorScores(matrix: tensor.value, summary: summary)
  }
  return scored
}

/// The bare scores of `tensors`, all on the same revision (not layer after pruned layer; see `pruneSequentially`), and
/// the calibration that they rest on.
func scoreMatrices(
  _ state: ModelState, tensors: OrderedDictionary<String, PrunableTensor>, criterion: Criterion, dataset: Dataset?,
  cache store: StatisticsStore, compute: Compute, monitor: Monitor, diagnostics: Diagnostics
) throws -> (matrices: OrderedDictionary<String, ScoreMatrix>, calibration: Calibration?) {
  let bytes = (tensors.values.reduce(0) { $0 + $1.elementCount } + tensors.largestElementCount) * 4
  try requireMemory(bytes, for: "Scoring \(tensors.count) tensors")
  let scoringStart = criterion.statistics(hasDataset: dataset != nil) == .none ? 0 : 0.8
  let calibration = try criterion.calibration(
    state, dataset: dataset, lastLayer: tensors.lastLayer, store: store, compute: compute,
    monitor: monitor.part(0...scoringStart))
  let scratch = FloatBuffer(count: tensors.largestElementCount)
  let part = monitor.part(scoringStart...1)
  var matrices: OrderedDictionary<String, ScoreMatrix> = [:]
  for tensor in tensors.values {
    part.report(Double(matrices.count) / Double(tensors.count), "scoring \(tensor.name)")
    matrices[tensor.name] = try criterion.score(
      tensor, of: state.revision,
      statistics: MatrixStatistics(
        input: try calibration?.statistics(of: tensor, model: state.transformer) ?? InputStatistics()),
      scratch: scratch, compute: compute, monitor: Monitor(cancellation: monitor.cancellation),
      diagnostics: diagnostics)
  }
  return (matrices, calibration)
}
