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

/// Scores `tensors` of `state`, all on the same revision (not layer after pruned layer; see `pruneSequentially`).
/// - Parameter dataset: calibration data; needed if the selector declares statistics.
/// - Throws: `CompressionError`, `TransformerError`, `Cancelled`, or what the selector throws.
package func score(
  _ state: ModelState, model: String, tensors: OrderedDictionary<String, PrunableTensor>, criterion: Criterion,
  dataset: Dataset?, cache: CalibrationCache, compute: Compute, monitor: Monitor
) throws -> Scoring {
  let scoringStart = criterion.description.statistics == .none ? 0 : 0.8
  let calibration = try criterion.calibration(
    state, dataset: dataset, lastLayer: tensors.lastLayer, cache: cache, compute: compute,
    monitor: monitor.part(0...scoringStart))
  let scratch = FloatBuffer(count: tensors.largestElementCount)
  let part = monitor.part(scoringStart...1)
  var scored: OrderedDictionary<String, TensorScores> = [:]
  for (index, tensor) in tensors.values.enumerated() {
    part.report(Double(index) / Double(tensors.count), "scoring \(tensor.name)")
    let matrix = try criterion.score(
      tensor, of: state.revision, moments: calibration?.moments(of: tensor, model: state.transformer),
      scratch: scratch, compute: compute, monitor: Monitor(cancellation: monitor.cancellation))
    guard let summary = ScoreSummary(matrix, pool: compute.pool) else { continue }
    scored[tensor.name] = TensorScores(matrix: matrix, summary: summary)
  }
  let description = criterion.description
  let provenance = ScoreProvenance(
    model: model, revision: state.revision.id, plugin: description.id, pluginVersion: description.version,
    parameters: criterion.parameters, dataset: calibration == nil ? nil : dataset?.digest)
  return Scoring(
    scores: ScoreSet(provenance: provenance, defaultGroup: description.defaultGroup, tensors: scored),
    reusedLayers: calibration?.reusedLayers ?? 0, neededLayers: calibration?.layers.count ?? 0)
}
