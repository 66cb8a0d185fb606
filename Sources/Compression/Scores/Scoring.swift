// Importance scores of a model at one revision, tensor by tensor.

package import OrderedCollections
package import Tensors
package import Workspace

/// What a request for scores asks beside the tensors.
package struct ScoringRequest: Sendable {
  package let criterion: Criterion
  /// Calibration data; needed if the selector asks for statistics.
  package var dataset: Dataset?
  /// Scores from elsewhere for a selector that combines criteria, by name.
  package var terms: [(name: String, scores: ScoreSet)] = []
  /// Training of a copy while gradients are summed; nil leaves the weights where they are.
  package var training: GradientTraining?

  package init(_ criterion: Criterion, dataset: Dataset? = nil) {
    self.criterion = criterion
    self.dataset = dataset
  }
}

/// The scores of some tensors and how much of the calibration was remembered.
package struct Scoring: Sendable {
  package let scores: ScoreSet
  /// Layers whose statistics were computed earlier, of those that were needed.
  package let reusedLayers: Int
  package let neededLayers: Int
}

/// Scores `tensors` of `state` for keeping, all on the same revision (not layer after pruned layer; see
/// `pruneSequentially`).
/// - Parameter model: the name under which the scores say what they are of.
/// - Throws: `CompressionError`, `TransformerError`, `Cancelled`, or what the selector throws.
package func score(
  _ state: ModelState, model: String, tensors: OrderedDictionary<String, PrunableTensor>, request: ScoringRequest,
  store: StatisticsStore, compute: Compute, monitor: Monitor, diagnostics: Diagnostics
) throws -> Scoring {
  let criterion = request.criterion
  let need = criterion.statistics(hasDataset: request.dataset != nil)
  try requireMemory(
    (tensors.values.reduce(0) { $0 + $1.elementCount } + tensors.largestElementCount) * 4,
    for: "Scoring \(tensors.count) tensors")
  if request.training != nil, !need.contains(.gradients) {
    diagnostics.add(
      Diagnostic(
        .warning, kind: "trainingUnused",
        "\(criterion.id) asks for no gradients of the model's loss with these parameters: nothing was trained."))
  }
  let start = need == .none ? 0 : 0.8
  let known = try Knowledge(
    state, tensors: tensors, need: need, dataset: request.dataset, plugin: criterion.id, training: request.training,
    store: store, compute: compute, monitor: monitor.part(0...start))
  var plan = PruningPlan(criterion: criterion, target: .ratio(0), group: .matrix, tensors: tensors)
  plan.terms = request.terms
  let matrices = MatrixPruning(
    plan, of: state.revision, compute: compute, cancellation: monitor.cancellation, diagnostics: diagnostics)
  let part = monitor.part(start...0.9)
  var scores: OrderedDictionary<String, ScoreMatrix> = [:]
  for tensor in tensors.values {
    part.report(Double(scores.count) / Double(tensors.count), "scoring \(tensor.name)")
    let statistics = try known.statistics(of: tensor)
    statistics.input.reportDeadInputs(of: tensor.name, to: diagnostics)
    scores[tensor.name] = try matrices.score(tensor, of: state.revision, statistics: statistics, by: criterion)
  }
  let method = criterion.description.method
  let provenance = ScoreProvenance(
    model: model, revision: state.revision.id, plugin: method.id, pluginVersion: method.version,
    parameters: criterion.parameters, dataset: need == .none ? nil : request.dataset?.digest,
    terms: request.terms.map(\.scores.provenance))
  return Scoring(
    scores: ScoreSet(
      provenance: provenance, defaultGroup: criterion.description.defaultGroup,
      tensors: try summarised(scores, pool: compute.pool, monitor: monitor)),
    reusedLayers: known.reusedLayers, neededLayers: known.neededLayers)
}

/// The matrices with their summaries.
func summarised(
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
