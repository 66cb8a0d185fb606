// Normalisation of rows, and of the heads within rows: forward and gradients.

import CKernels

/// Which normalisation.
package enum NormKind: Sendable, Equatable {
  /// x / rms(x) * (offset + weight): offset 0 as published (Zhang & Sennrich 2019), 1 in Gemma.
  case rms(offset: Float)
  /// (x - mean(x)) / deviation(x) * weight + bias (Ba et al. 2016)
  case layer
}

/// A normalisation with its weights as fp32.
package struct NormWeights {
  let kind: NormKind
  let epsilon: Float
  /// Channels of one normalised group.
  let channels: Int
  let weight: FloatVector
  let bias: FloatVector?

  /// - Parameters:
  ///   - weight: `[channels]`.
  ///   - bias: `[channels]`; needed for `layer`.
  package init(
    _ kind: NormKind, epsilon: Float, channels: Int, weight: FloatVector, bias: FloatVector? = nil
  ) {
    self.kind = kind
    self.epsilon = epsilon
    self.channels = channels
    self.weight = weight
    self.bias = bias
  }

  fileprivate func forward(_ out: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, count: Int) {
    switch kind {
    case .rms(let offset): ck_rmsnorm_forward(out, x, weight.pointer, offset, count, channels, epsilon)
    case .layer: ck_layernorm_forward(out, x, weight.pointer, (bias ?? weight).pointer, count, channels, epsilon)
    }
  }

  fileprivate func backward(
    _ dx: UnsafeMutablePointer<Float>, dweight: UnsafeMutablePointer<Double>, dbias: UnsafeMutablePointer<Double>,
    _ dout: UnsafePointer<Float>, _ x: UnsafePointer<Float>, count: Int, accumulate: Bool
  ) {
    switch kind {
    case .rms(let offset):
      ck_rmsnorm_backward(dx, dweight, dout, x, weight.pointer, offset, count, channels, epsilon, accumulate ? 1 : 0)
    case .layer:
      ck_layernorm_backward(dx, dweight, dbias, dout, x, weight.pointer, count, channels, epsilon, accumulate ? 1 : 0)
    }
  }
}

extension Compute {
  /// Rows that one piece of work normalises. Fixed, because the gradients of the weights are summed a piece at a time.
  private static let normRows = 64

  /// Normalises N rows, each of `groups` groups of `channels` channels. `out` may be `x`.
  package func normForward(
    _ out: MutableMatrixRows, _ x: MatrixRows, _ norm: NormWeights, rows N: Int, groups: Int = 1
  ) {
    forNormRows(N) { range, _ in
      if groups == 1, out.stride == norm.channels, x.stride == norm.channels {
        let start = range.lowerBound * norm.channels
        return norm.forward(out.pointer + start, x.pointer + start, count: range.count)
      }
      for n in range { norm.forward(out.pointer + n * out.stride, x.pointer + n * x.stride, count: groups) }
    }
  }

  /// The gradients of `normForward`: dx (+= if `accumulate`), dweight[channels] and dbias[channels] (always +=, if
  /// wanted). `dx` may be `dout`. Weights' gradients are summed in double in row order.
  package func normBackward(
    _ dx: MutableMatrixRows, dweight: UnsafeMutablePointer<Float>?, dbias: UnsafeMutablePointer<Float>?,
    _ dout: MatrixRows, _ x: MatrixRows, _ norm: NormWeights, rows N: Int, groups: Int = 1, accumulate: Bool
  ) {
    let C = norm.channels, pieces = (N + Self.normRows - 1) / Self.normRows
    withUnsafeTemporaryAllocation(of: Double.self, capacity: 2 * C * pieces) { sums in
      sums.initialize(repeating: 0)
      guard let base = sums.baseAddress else { return }
      forNormRows(N) { range, piece in
        let dweight = base + 2 * C * piece, dbias = dweight + C
        for n in range {
          norm.backward(
            dx.pointer + n * dx.stride, dweight: dweight, dbias: dbias, dout.pointer + n * dout.stride,
            x.pointer + n * x.stride, count: groups, accumulate: accumulate)
        }
      }
      for c in 0..<C {
        if let dweight { dweight[c] += Float((0..<pieces).reduce(0) { $0 + base[2 * C * $1 + c] }) }
        if let dbias { dbias[c] += Float((0..<pieces).reduce(0) { $0 + base[2 * C * $1 + C + c] }) }
      }
    }
  }

  private func forNormRows(_ N: Int, _ body: (_ rows: Range<Int>, _ piece: Int) -> Void) {
    let rows = Self.normRows
    pool.parallelFor((N + rows - 1) / rows) { piece, _ in body(piece * rows..<min(N, (piece + 1) * rows), piece) }
  }
}
