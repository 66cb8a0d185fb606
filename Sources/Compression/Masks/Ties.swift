// What becomes of equal scores at the boundary between pruned and kept.

import Tensors

/// Which of the weights that score as much as the boundary are pruned.
package enum Ties: String, Sendable, CaseIterable {
  /// The first in row-major order, so that a group of n loses exactly floor(n * ratio).
  case first
  /// All that score no more than the one at place floor(n * ratio) in ascending order, from 0: that one and its equals
  /// too. So the reference code of Wanda (Sun et al. 2023) prunes by magnitude. For the groups matrix and global.
  case all

  /// Whether it means anything for a target within groups.
  package func applies(to target: SparsityTarget, in group: MaskGroup) -> Bool {
    guard self == .all else { return true }
    guard case .ratio = target else { return false }
    return group == .matrix || group == .global
  }

  /// - Parameter count: what is pruned where no scores are equal; at least 1, at most all.
  func threshold(pruning count: Int, of census: ScoreCensus, pool: ComputePool) -> ScoreThreshold {
    guard self == .all else { return census.threshold(pruning: count, pool: pool) }
    var threshold = census.threshold(pruning: min(count + 1, census.count), pool: pool)
    threshold.ties = census.count
    return threshold
  }
}
