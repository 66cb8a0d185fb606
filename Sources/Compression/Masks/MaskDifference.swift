// Two masks over one tensor, counted against each other.

package import Tensors

/// How two masks of one shape differ.
package struct MaskDifference: Sendable, Equatable {
  /// Kept before, pruned after.
  package let pruned: Int
  /// Pruned before, kept after.
  package let restored: Int
  /// Pruned in both.
  package let stillPruned: Int
  package let count: Int

  /// - Parameters: masks of the same rows and columns.
  package init(from: MaskBits, to: MaskBits) {
    var pruned = 0, restored = 0, bothKept = 0
    for (a, b) in zip(from.bytes, to.bytes) {  // padding bits are zero in both, so they count nowhere below
      pruned += (a & ~b).nonzeroBitCount
      restored += (~a & b).nonzeroBitCount
      bothKept += (a & b).nonzeroBitCount
    }
    count = from.rows * from.columns
    self.pruned = pruned
    self.restored = restored
    stillPruned = count - bothKept - pruned - restored
  }

  package var agreement: Double { Double(count - pruned - restored) / Double(count) }
  package var prunedOverlap: Double {
    let either = pruned + restored + stillPruned
    return either == 0 ? 1 : Double(stillPruned) / Double(either)
  }
}
