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
  /// - Throws: `Cancelled`; the outputs are then partly written.
  package func linearForward(
    _ tasks: [LinearTask], _ x: MatrixRows, rows N: Int, scratch: LinearScratch, accumulate: Bool = false,
    precision: Precision = .fp32, cancellation: Cancellation
  ) throws(Cancelled) {
    if N <= Self.fewRows { return try fewRowsForward(tasks, x, rows: N, accumulate: accumulate, cancellation) }
    var isFirst = true
    for task in tasks {
      try scratch.forEachPart(of: task.weights, pool: pool) { part, w throws(Cancelled) in
        try forwardPart(
          task, part, w, x, rows: N, isFirst: isFirst, scratch: scratch, accumulate: accumulate, precision, cancellation)
        isFirst = false
      }
    }
  }

  /// The outputs `part` of a task, whose weights are `w`. Behind the first part of all tasks, `x` is packed already.
  private func forwardPart(
    _ task: LinearTask, _ part: Range<Int>, _ w: UnsafePointer<Float>, _ x: MatrixRows, rows N: Int,
    isFirst: Bool, scratch: LinearScratch, accumulate: Bool, _ precision: Precision, _ cancellation: Cancellation
  ) throws(Cancelled) {
    let I = task.weights.columns, bias = task.bias.map { $0.pointer + part.lowerBound }
    let out = MutableMatrixRows(task.out.pointer + part.lowerBound, stride: task.out.stride)
    switch precision {
    case .fp32:
      try productByTransposed(
        out, x, MatrixRows(w, stride: I), bias: bias, m: N, n: part.count, k: I, accumulate: accumulate,
        cancellation: cancellation)
    case .bf16:
      try product(
        out.pointer, ldc: out.stride, .rows(x.pointer, stride: x.stride), .rows(w, stride: I), m: N, n: part.count,
        k: I, accumulate: accumulate, leftIsAsBefore: !isFirst, kernel: .fastest(.bf16), scratch: scratch.product,
        cancellation: cancellation)
      if let bias { addBias(out, bias, rows: N, columns: part.count) }
    }
  }

  /// dx[N, I] = dout[N, O] · w[O, I] (+ dx if `accumulate`).
  /// - Throws: `Cancelled`; `dx` is then partly written.
  package func linearBackwardInput(
    _ dx: MutableMatrixRows, _ dout: MatrixRows, weights: MaskedTensor, rows N: Int, scratch: LinearScratch,
    accumulate: Bool, precision: Precision = .fp32, cancellation: Cancellation
  ) throws(Cancelled) {
    let I = weights.columns
    try scratch.forEachPart(of: weights, pool: pool) { part, w throws(Cancelled) in
      let dout = MatrixRows(dout.pointer + part.lowerBound, stride: dout.stride)
      let adding = accumulate || part.lowerBound > 0
      switch precision {
      case .fp32:
        try product(
          dx, dout, MatrixRows(w, stride: I), m: N, n: I, k: part.count, accumulate: adding,
          cancellation: cancellation)
      case .bf16:
        try product(
          dx.pointer, ldc: dx.stride, .rows(dout.pointer, stride: dout.stride), .transposed(w, stride: I), m: N, n: I,
          k: part.count, accumulate: adding, kernel: .fastest(.bf16), scratch: scratch.product,
          cancellation: cancellation)
      }
    }
  }

  /// dw[O, I] += dout[N, O]ᵀ · x[N, I].
  /// - Throws: `Cancelled`; `dw` is then partly written.
  package func linearBackwardWeights(
    _ dw: UnsafeMutablePointer<Float>, _ dout: MatrixRows, _ x: MatrixRows, rows N: Int, outputs O: Int, inputs I: Int,
    scratch: LinearScratch, precision: Precision = .fp32, cancellation: Cancellation
  ) throws(Cancelled) {
    switch precision {
    case .fp32:
      try productOfTransposed(
        MutableMatrixRows(dw, stride: I), dout, x, m: O, n: I, k: N, cancellation: cancellation)
    case .bf16:
      try product(
        dw, ldc: I, .transposed(dout.pointer, stride: dout.stride), .transposed(x.pointer, stride: x.stride), m: O,
        n: I, k: N, accumulate: true, kernel: .fastest(.bf16), scratch: scratch.product, cancellation: cancellation)
    }
  }

  /// out[n, :] += bias for N rows.
  private func addBias(_ out: MutableMatrixRows, _ bias: UnsafePointer<Float>, rows N: Int, columns: Int) {
    pool.parallelRanges(N, grain: 64) { range, _ in
      ck_bias_forward(out.pointer + range.lowerBound * out.stride, bias, range.count, columns, out.stride)
    }
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
