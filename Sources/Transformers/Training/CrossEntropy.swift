// Next-token cross-entropy over logits.

package import Tensors

/// Cross-entropy: -log softmax(logits)[target] of every row that has a target.
package struct CrossEntropy: LogitLoss {
  /// A token for each row of the batch; -1 where the row predicts nothing.
  package let targets: [Int32]
  /// What the gradient of each row is multiplied with: 1 / (valid rows of the whole step) for a mean.
  package let scale: Float

  package init(targets: [Int32], scale: Float) {
    self.targets = targets
    self.scale = scale
  }

  /// Rows that have a target.
  package var validRows: Int { targets.count { $0 >= 0 } }

  /// The next token of every position; the last of each sequence has none.
  package static func nextTokens(_ tokens: [Int32], length: Int) -> [Int32] {
    tokens.indices.map { ($0 + 1) % length == 0 ? -1 : tokens[$0 + 1] }
  }

  package func overwriteWithGradient(
    _ logits: UnsafeMutablePointer<Float>, rows: Range<Int>, vocabulary: Int, compute: Compute,
    cancellation: Cancellation
  ) throws(Cancelled) -> Double {
    try compute.sumOverRows(rows.count, cancellation: cancellation) { row in
      let target = targets[rows.lowerBound + row]
      return compute.crossEntropyBackward(
        logits + row * vocabulary, target: target < 0 ? nil : Int(target), vocabulary: vocabulary, scale: scale)
    }
  }
}
