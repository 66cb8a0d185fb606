// The contract of a method that chooses masks and new weights together.

package import Tensors

package struct SolverDescription: Sendable, Equatable {
  package let method: MethodDescription
  package let defaultGroup: MaskGroup

  package init(method: MethodDescription, defaultGroup: MaskGroup) {
    self.method = method
    self.defaultGroup = defaultGroup
  }
}

/// One matrix to solve. Pointers are valid during the call only.
package struct Problem {
  package let matrix: MatrixInput
  package let budget: Budget
  /// `[rows, columns]`, 1 for every weight on entry: 0 where a weight is pruned.
  package let kept: UnsafeMutableBufferPointer<UInt8>
  /// `[rows, columns]`, the matrix's on entry: the new weights, 0 where they are pruned.
  package let weights: UnsafeMutableBufferPointer<Float>

  package init(
    matrix: MatrixInput, budget: Budget, kept: UnsafeMutableBufferPointer<UInt8>,
    weights: UnsafeMutableBufferPointer<Float>
  ) {
    self.matrix = matrix
    self.budget = budget
    self.kept = kept
    self.weights = weights
  }
}

package protocol Solver: Sendable {
  var description: SolverDescription { get }

  /// Solves matrices that share one input, with the same statistics of it. Called on a compute thread.
  /// - Throws: `Cancelled`, or the implementation's own error; also if the outputs break the contract (weights that are
  ///   not finite, a pattern or a budget that is missed). Outputs are then without meaning.
  func solve(
    _ problems: [Problem], parameters: [ParameterValue], monitor: Monitor, diagnostics: Diagnostics
  ) throws
}
