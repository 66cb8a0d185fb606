// Pruning of all tensors on the revision as it is: statistics come from unpruned layers and are remembered.

import OrderedCollections
package import Tensors
import Transformers
package import Workspace

/// Prunes every tensor by what is known of it on the revision as it is.
/// - Parameter store: where statistics are remembered; a second method finds them there.
/// - Throws: `CompressionError`, `TransformerError`, `Cancelled`, or what the methods throw.
package func pruneAtOnce(
  _ state: ModelState, plan: PruningPlan, dataset: Dataset?, store: StatisticsStore, compute: Compute,
  monitor: Monitor, diagnostics: Diagnostics
) throws -> PruningResult {
  for tensor in plan.tensors.values { try plan.target(of: tensor.name).check(tensor) }
  let need = plan.statistics(hasDataset: dataset != nil)
  try requireMemory(plan.newWeightBytes + plan.scratchBytes, for: "Pruning \(plan.tensors.count) tensors")
  let known = try Knowledge(
    state, tensors: plan.tensors, need: need, dataset: dataset, plugin: plan.method.method.id, store: store,
    compute: compute, monitor: monitor.part(0...0.6))
  let part = monitor.part(0.6...1)
  let matrices = MatrixPruning(
    plan, of: state.revision, compute: compute, cancellation: monitor.cancellation, diagnostics: diagnostics)
  let globalMasks = try masksOfAll(state, plan: plan, matrices: matrices, known: known, monitor: part)
  var pruned: OrderedDictionary<String, PrunedTensor> = [:]
  for layer in 0..<state.transformer.shape.layers {
    for input in state.transformer.linearInputs(layer: layer) {
      let readers = input.tensors.compactMap { plan.tensors[$0] }
      guard let first = readers.first else { continue }
      part.report(Double(pruned.count) / Double(plan.tensors.count), "pruning \(first.name)")
      try known.statistics(of: first).input.reportDeadInputs(of: first.name, to: diagnostics)
      if let globalMasks {
        for tensor in readers {
          guard let chosen = globalMasks[tensor.name] else { continue }
          pruned[tensor.name] = try matrices.finish(
            tensor, of: state.revision, statistics: known.statistics(of: tensor), mask: chosen.mask,
            scores: chosen.scores)
        }
      } else {
        let site = try matrices.prune(readers, of: state.revision, statistics: known.statistics)
        pruned.merge(site) { _, new in new }
      }
    }
  }
  var result = PruningResult(tensors: pruned, layerErrors: nil)
  (result.reusedLayers, result.neededLayers) = (known.reusedLayers, known.neededLayers)
  return result
}

/// Masks that compare the scores of all tensors, if the plan does that.
private func masksOfAll(
  _ state: ModelState, plan: PruningPlan, matrices: MatrixPruning, known: Knowledge, monitor: Monitor
) throws -> [String: (mask: MaskBits, scores: ScoreMatrix)]? {
  guard plan.group == .global, case .ratio = plan.target else { return nil }
  guard case .selector(let criterion) = plan.method else {
    throw CompressionError.groupNotSolved(plugin: plan.method.method.id)
  }
  guard plan.allocation.isEmpty else { throw CompressionError.allocationWithGlobalGroup }
  try requireMemory(
    plan.tensors.values.reduce(0) { $0 + 4 * $1.elementCount }, for: "Comparing the scores of all tensors")
  var scores: OrderedDictionary<String, ScoreMatrix> = [:]
  for tensor in plan.tensors.values {
    scores[tensor.name] = try matrices.score(
      tensor, of: state.revision, statistics: known.statistics(of: tensor), by: criterion)
  }
  let masks = try selectMasks(
    scores, target: plan.target, group: .global, ties: plan.ties, pool: matrices.compute.pool, monitor: monitor)
  var chosen: [String: (mask: MaskBits, scores: ScoreMatrix)] = [:]
  for (name, mask) in masks { chosen[name] = scores[name].map { (mask, $0) } }
  return chosen
}
