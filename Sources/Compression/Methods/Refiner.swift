// The contract of a method that exchanges kept and pruned weights for a better mask of the same sparsity.

package import Tensors

package protocol Refiner: Sendable {
  var description: MethodDescription { get }

  /// Changes `kept` (`[rows, columns]`, 1 for kept weights) in place: as many stay kept in each row, and in each group
  /// of a pattern. Called on a compute thread.
  /// - Parameter scores: those that the mask was made from, nil if it was made otherwise.
  /// - Throws: `Cancelled`, or the implementation's own error, also for a row or group whose count changed.
  func refine(
    _ matrix: MatrixInput, budget: Budget, scores: ScoreMatrix?, parameters: [ParameterValue],
    kept: UnsafeMutableBufferPointer<UInt8>, monitor: Monitor, diagnostics: Diagnostics
  ) throws
}
