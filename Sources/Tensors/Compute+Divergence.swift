// How far one model's next-token distributions are from another's, row by row of their logits.

import CKernels

/// What two rows of logits say of a token and of each other.
package struct RowDivergence: Sendable, Equatable {
  /// KL(reference || model) in nats, at least 0.
  package let divergence: Double
  /// -log softmax(logits)[target] in nats.
  package let referenceLoss: Double
  package let loss: Double
  /// Whether both have their largest logit at the same token, the first of equals.
  package let sameTopToken: Bool
}

extension Compute {
  /// Compares N rows of logits with the reference's; rows without target (-1) give nil.
  ///
  /// Rows are computed on all threads, each by itself: sums in double, products of a row in fp32 over short runs.
  /// - Parameters:
  ///   - logits, reference: `[N, V]`; targets: N token ids in 0..<V, or -1, checked by the caller.
  /// - Throws: `Cancelled`.
  package func divergences(
    _ logits: UnsafePointer<Float>, from reference: UnsafePointer<Float>, targets: [Int32], vocabulary V: Int,
    cancellation: Cancellation
  ) throws(Cancelled) -> [RowDivergence?] {
    var rows = [RowDivergence?](repeating: nil, count: targets.count)
    rows.withUnsafeMutableBufferPointer { rows in
      pool.parallelFor(targets.count, cancellation: cancellation) { row, _ in
        guard targets[row] >= 0 else { return }
        rows[row] = Self.divergence(
          logits + row * V, from: reference + row * V, target: Int(targets[row]), vocabulary: V)
      }
    }
    try cancellation.check()
    return rows
  }

  private static func divergence(
    _ logits: UnsafePointer<Float>, from reference: UnsafePointer<Float>, target: Int, vocabulary V: Int
  ) -> RowDivergence {
    var referenceLogSum = 0.0, logSum = 0.0
    let divergence = ck_divergence(&referenceLogSum, &logSum, reference, logits, V)
    let top = largestLogit(logits, count: V), referenceTop = largestLogit(reference, count: V)
    return RowDivergence(
      divergence: divergence, referenceLoss: referenceLogSum - Double(reference[target]),
      loss: logSum - Double(logits[target]), sameTopToken: top != nil && top == referenceTop)
  }
}
