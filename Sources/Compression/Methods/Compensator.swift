// The contracts of methods that give new weights under a mask: matrix by matrix, or a whole block by its output.

package import Tensors

package struct CompensatorDescription: Sendable, Equatable {
  package let method: MethodDescription
  /// Whether it adds to the map's bias.
  package let changesBias: Bool

  package init(method: MethodDescription, changesBias: Bool) {
    self.method = method
    self.changesBias = changesBias
  }
}

package protocol Compensator: Sendable {
  var description: CompensatorDescription { get }

  /// Moves what pruned weights carried to others. Called on a compute thread.
  /// - Parameters:
  ///   - matrix: the weights before the mask.
  ///   - kept: `[rows, columns]`, 1 for kept weights.
  ///   - budget: what made the mask; nil if it was given.
  ///   - weights: `[rows, columns]`: the new weights. On entry the matrix's, or what an earlier round gave, and 0 where
  ///     pruned; what is written there is what the weight would be if it were restored, for the next round to score.
  ///   - bias: `[rows]`, 0 on entry: what is to be added to the map's bias; empty unless `changesBias`.
  /// - Throws: `Cancelled`, or the implementation's own error, also for outputs that are not finite.
  func compensate(
    _ matrix: MatrixInput, kept: UnsafeBufferPointer<UInt8>, budget: Budget?, parameters: [ParameterValue],
    weights: UnsafeMutableBufferPointer<Float>, bias: UnsafeMutableBufferPointer<Float>, monitor: Monitor,
    diagnostics: Diagnostics
  ) throws
}

/// The output of a block as a function of its weights, for calibration sequences.
package protocol Region {
  /// Calibration sequences.
  var samples: Int { get }

  /// The mean over all elements of the block's output of the squared difference to the block before pruning, for the
  /// sequences `range`, and its gradients.
  /// - Parameters:
  ///   - weights: for each matrix of the call `[rows, columns]`.
  ///   - gradients: the same shapes; overwritten.
  /// - Throws: `Cancelled`.
  func gradient(
    _ range: Range<Int>, weights: [UnsafePointer<Float>], into gradients: [UnsafeMutablePointer<Float>]
  ) throws -> Double
}

package protocol BlockCompensator: Sendable {
  var description: MethodDescription { get }

  /// Fits the kept weights of a block by its output. Called on a compute thread.
  /// - Parameters:
  ///   - matrices: the weights as they are, pruned ones 0.
  ///   - kept: for each matrix `[rows, columns]`.
  ///   - weights: for each matrix `[rows, columns]`, the matrix's on entry.
  /// - Throws: `Cancelled`, or the implementation's own error, also for weights that are not finite.
  func fit(
    _ matrices: [MatrixInput], kept: [UnsafeBufferPointer<UInt8>], region: any Region, parameters: [ParameterValue],
    weights: [UnsafeMutableBufferPointer<Float>], monitor: Monitor, diagnostics: Diagnostics
  ) throws
}
