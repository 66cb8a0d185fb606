// Scores into masks: the host's side of every criterion. Selecting never calls a plugin.

package import OrderedCollections
package import Tensors

/// Selects, for each of the tensors, which weights `target` keeps.
///
/// Among equal scores the first in row-major order are pruned first, so every group loses exactly
/// floor(size * ratio) weights, unless `ties` says otherwise.
/// - Parameters:
///   - scores: by tensor name; the result has the same names.
///   - allocation: the target of a tensor, where it is not `target`; empty for the group `.global`.
///   - group: ignored by a pattern, which always compares within its M inputs.
/// - Throws: `CompressionError.patternDoesNotDivide`, `Cancelled`.
package func selectMasks(
  _ scores: OrderedDictionary<String, ScoreMatrix>, target: SparsityTarget, group: MaskGroup,
  ties: Ties = .first, allocation: [String: SparsityTarget] = [:], pool: ComputePool, monitor: Monitor
) throws -> OrderedDictionary<String, MaskBits> {
  let targets = scores.keys.map { allocation[$0] ?? target }
  for ((name, matrix), target) in zip(scores, targets) {
    if case .pattern(_, let size) = target, matrix.columns % size != 0 {
      throw CompressionError.patternDoesNotDivide(
        pattern: target.description, tensor: name, columns: matrix.columns)
    }
  }
  if group == .global, !allocation.isEmpty { throw CompressionError.allocationWithGlobalGroup }
  let matrices = Array(scores.values)
  let thresholds = globalThresholds(matrices, target: target, group: group, ties: ties, pool: pool)
  var masks = [MaskBits?](repeating: nil, count: matrices.count)
  masks.withUnsafeMutableBufferPointer { masks in
    pool.parallelFor(matrices.count, cancellation: monitor.cancellation) { index, _ in
      masks[index] = selectMask(
        matrices[index], target: targets[index], group: group, ties: ties, globalThreshold: thresholds?[index],
        pool: pool)
    }
  }
  try monitor.checkCancelled()
  return OrderedDictionary(uniqueKeysWithValues: zip(scores.keys, masks.compactMap { $0 }))
}

/// The mask of one matrix by itself.
/// - Parameter group: not `.global`, which takes all matrices together.
func selectMask(
  _ matrix: ScoreMatrix, target: SparsityTarget, group: MaskGroup, ties: Ties = .first, pool: ComputePool
) throws(CompressionError) -> MaskBits {
  if group == .global, case .ratio = target { throw .groupNotSequential(group: group.rawValue) }
  return selectMask(matrix, target: target, group: group, ties: ties, globalThreshold: nil, pool: pool)
}

private func selectMask(
  _ matrix: ScoreMatrix, target: SparsityTarget, group: MaskGroup, ties: Ties, globalThreshold: ScoreThreshold?,
  pool: ComputePool
) -> MaskBits {
  switch (target, group) {
  case (.pattern(let prune, let size), _):
    return matrix.pruningGroups(prune, of: size, pool: pool)
  case (.ratio(let ratio), .row):
    return matrix.pruningRows(SparsityTarget.pruned(ratio, of: matrix.columns), pool: pool)
  case (.ratio(let ratio), .column):
    return matrix.pruningColumns(SparsityTarget.pruned(ratio, of: matrix.rows))
  case (.ratio(let ratio), .matrix):
    let count = SparsityTarget.pruned(ratio, of: matrix.elementCount)
    guard count > 0 else { return matrix.pruningRows(0, pool: pool) }
    return matrix.pruningBelow(ties.threshold(pruning: count, of: ScoreCensus([matrix], pool: pool), pool: pool))
  case (.ratio, .global):
    return globalThreshold.map(matrix.pruningBelow) ?? matrix.pruningRows(0, pool: pool)
  }
}

/// One threshold for all, with its ties shared out in order; nil if the group is not global or nothing is pruned.
private func globalThresholds(
  _ matrices: [ScoreMatrix], target: SparsityTarget, group: MaskGroup, ties: Ties, pool: ComputePool
) -> [ScoreThreshold]? {
  guard case .ratio(let ratio) = target, group == .global else { return nil }
  let census = ScoreCensus(matrices, pool: pool)
  let count = SparsityTarget.pruned(ratio, of: census.count)
  guard count > 0 else { return nil }
  let threshold = ties.threshold(pruning: count, of: census, pool: pool)
  var left = threshold.ties
  return matrices.map { matrix in
    var share = threshold
    share.ties = min(left, matrix.ties(at: threshold))
    left -= share.ties
    return share
  }
}
