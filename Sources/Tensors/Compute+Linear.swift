// Linear layers y = x·Wᵀ + b over weights as they are stored: forward, and the gradients of input, weights and bias.
// Few rows (decoding) stream the weights in their stored type; many go through the large products.
//
// Legend: N rows of activations, O outputs, I inputs.

import CKernels

/// One linear map of an input that several may share.
package struct LinearTask {
  let out: MutableMatrixRows
  let weights: MaskedTensor
  let bias: FloatVector?

  /// - Parameters:
  ///   - out: `[N, O]`.
  ///   - weights: `[O, I]`.
  ///   - bias: `[O]`.
  package init(_ out: MutableMatrixRows, weights: MaskedTensor, bias: FloatVector? = nil) {
    self.out = out
    self.weights = weights
    self.bias = bias
  }
}

extension Compute {
  /// Up to this many rows the time goes into reading the weights, not into multiplying.
  package static let fewRows = 16

  /// out = x[N, I] · w[O, I]ᵀ + bias (+ out if `accumulate`) for each of `tasks`, which read the same `x`.
  /// - Parameter scratch: the floats of the largest weights, for weights that have to be converted or masked; not
  ///   used for `fewRows`.
  /// - Throws: `Cancelled`; the outputs are then partly written.
  package func linearForward(
    _ tasks: [LinearTask], _ x: MatrixRows, rows N: Int, scratch: FloatBuffer, accumulate: Bool = false,
    precision: Precision = .fp32, cancellation: Cancellation
  ) throws(Cancelled) {
    if N <= Self.fewRows { return try fewRowsForward(tasks, x, rows: N, accumulate: accumulate, cancellation) }
    for task in tasks {
      let w = task.weights.floats(orReadInto: scratch.pointer, pool: pool)
      try productByTransposed(
        task.out, x, MatrixRows(w, stride: task.weights.columns), bias: task.bias?.pointer, m: N, n: task.weights.rows,
        k: task.weights.columns, accumulate: accumulate, cancellation: cancellation)
    }
  }

  /// dx[N, I] = dout[N, O] · w[O, I] (+ dx if `accumulate`).
  /// - Parameter scratch: as `linearForward`.
  /// - Throws: `Cancelled`; `dx` is then partly written.
  package func linearBackwardInput(
    _ dx: MutableMatrixRows, _ dout: MatrixRows, weights: MaskedTensor, rows N: Int, scratch: FloatBuffer,
    accumulate: Bool, precision: Precision = .fp32, cancellation: Cancellation
  ) throws(Cancelled) {
    let w = weights.floats(orReadInto: scratch.pointer, pool: pool)
    try product(
      dx, dout, MatrixRows(w, stride: weights.columns), m: N, n: weights.columns, k: weights.rows,
      accumulate: accumulate, cancellation: cancellation)
  }

  /// dw[O, I] += dout[N, O]ᵀ · x[N, I].
  /// - Throws: `Cancelled`; `dw` is then partly written.
  package func linearBackwardWeights(
    _ dw: UnsafeMutablePointer<Float>, _ dout: MatrixRows, _ x: MatrixRows, rows N: Int, outputs O: Int, inputs I: Int,
    precision: Precision = .fp32, cancellation: Cancellation
  ) throws(Cancelled) {
    try productOfTransposed(
      MutableMatrixRows(dw, stride: I), dout, x, m: O, n: I, k: N, cancellation: cancellation)
  }

  /// db[O] += the sum of dout's rows, summed in double in row order.
  package func biasBackward(_ db: UnsafeMutablePointer<Float>, _ dout: MatrixRows, rows N: Int, outputs O: Int) {
    pool.parallelRanges(O, grain: 64) { range, _ in
      withUnsafeTemporaryAllocation(of: Double.self, capacity: range.count) { sums in
        sums.initialize(repeating: 0)
        guard let base = sums.baseAddress else { return }
        ck_bias_backward(base, dout.pointer + range.lowerBound, N, range.count, dout.stride)
        for (place, column) in range.enumerated() { db[column] += Float(sums[place]) }
      }
    }
  }
}
