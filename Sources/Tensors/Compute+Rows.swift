// Operations on the elements and rows of activations, shared out among the threads: activations, residuals, embeddings,
// column statistics.

import CKernels

/// The function between the two halves of a feed-forward network.
package enum Activation: String, Sendable, CaseIterable {
  /// x * sigmoid(x) (Elfwing et al. 2017)
  case silu
  /// 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) (Hendrycks & Gimpel 2016)
  case geluTanh
  /// x * Phi(x), with the error function (the same)
  case gelu
  case relu

  var kernel: ck_activation {
    switch self {
    case .silu: CK_SILU
    case .geluTanh: CK_GELU_TANH
    case .gelu: CK_GELU_ERF
    case .relu: CK_RELU
    }
  }
}

extension Compute {
  /// Elements of one piece of elementwise work.
  private static let elements = 1 << 14

  /// out = activation(gate) * up, or activation(up) if there is no gate; `count` elements. `out` may be an input.
  package func activationForward(
    _ out: UnsafeMutablePointer<Float>, gate: UnsafePointer<Float>?, up: UnsafePointer<Float>, count: Int,
    _ activation: Activation
  ) {
    pool.parallelRanges(count, grain: Self.elements) { range, _ in
      let first = range.lowerBound
      if let gate {
        ck_gated_forward(activation.kernel, out + first, gate + first, up + first, range.count)
      } else {
        ck_activation_forward(activation.kernel, out + first, up + first, range.count)
      }
    }
  }

  /// The gradients of `activationForward`. `dgate` and `dup` may be the places of `gate` and `up`.
  package func activationBackward(
    dgate: UnsafeMutablePointer<Float>?, dup: UnsafeMutablePointer<Float>, _ dout: UnsafePointer<Float>,
    gate: UnsafePointer<Float>?, up: UnsafePointer<Float>, count: Int, _ activation: Activation
  ) {
    pool.parallelRanges(count, grain: Self.elements) { range, _ in
      let first = range.lowerBound
      if let gate, let dgate {
        ck_gated_backward(
          activation.kernel, dgate + first, dup + first, dout + first, gate + first, up + first, range.count)
      } else {
        ck_activation_backward(activation.kernel, dup + first, dout + first, up + first, range.count)
      }
    }
  }

  /// y += x, `count` elements.
  package func add(_ y: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, count: Int) {
    pool.parallelRanges(count, grain: Self.elements) { range, _ in
      ck_add(y + range.lowerBound, x + range.lowerBound, range.count)
    }
  }

  /// y += factor * x, `count` elements, on the thread that calls.
  package static func axpy(
    _ y: UnsafeMutablePointer<Float>, _ factor: Float, _ x: UnsafePointer<Float>, count: Int
  ) {
    ck_axpy(y, factor, x, count)
  }

  /// y += factor * x, `count` elements.
  package func add(_ y: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, times factor: Float, count: Int) {
    pool.parallelRanges(count, grain: Self.elements) { range, _ in
      ck_axpy(y + range.lowerBound, factor, x + range.lowerBound, range.count)
    }
  }

  /// sum += x * y element by element, `count` elements. `x` may be `y`.
  package func addProduct(
    _ sum: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, count: Int
  ) {
    pool.parallelRanges(count, grain: Self.elements) { range, _ in
      ck_product_accumulate(sum + range.lowerBound, x + range.lowerBound, y + range.lowerBound, range.count)
    }
  }

  /// x *= factor, `count` elements.
  package func scale(_ x: UnsafeMutablePointer<Float>, by factor: Float, count: Int) {
    pool.parallelRanges(count, grain: Self.elements) { range, _ in
      ck_scale(x + range.lowerBound, factor, range.count)
    }
  }

  /// y = x, `count` elements; does nothing if they are the same.
  package func copy(_ y: UnsafeMutablePointer<Float>, from x: UnsafePointer<Float>, count: Int) {
    guard UnsafePointer(y) != x else { return }
    pool.parallelRanges(count, grain: Self.elements) { range, _ in
      (y + range.lowerBound).update(from: x + range.lowerBound, count: range.count)
    }
  }

  /// out[n, :] = scale * table[ids[n] + offset, :]. Ids are checked by the caller.
  package func embeddingForward(
    _ out: UnsafeMutablePointer<Float>, table: MaskedTensor, ids: [Int32], offset: Int = 0, scale: Float = 1
  ) {
    let C = table.columns
    pool.parallelRanges(ids.count, grain: 64) { range, _ in
      for n in range {
        table.readRow(Int(ids[n]) + offset, into: out + n * C)
        if scale != 1 { ck_scale(out + n * C, scale, C) }
      }
    }
  }

  /// dtable[ids[n] + offset, :] += scale * dout[n, :], rows in order of n whatever the threads.
  package func embeddingBackward(
    _ dtable: UnsafeMutablePointer<Float>, channels C: Int, _ dout: UnsafePointer<Float>, ids: [Int32],
    offset: Int = 0, scale: Float = 1
  ) {
    pool.parallelRanges(C, grain: 64) { range, _ in
      for (n, id) in ids.enumerated() {
        ck_axpy(
          dtable + (Int(id) + offset) * C + range.lowerBound, scale, dout + n * C + range.lowerBound, range.count)
      }
    }
  }

  /// Adds the columns' sums over N rows of `x` (`[N, C]`) to the doubles. Each column is summed in row order, so the
  /// result does not depend on the number of threads.
  package func momentsAccumulate(
    sum: UnsafeMutablePointer<Double>, sumOfSquares: UnsafeMutablePointer<Double>,
    sumOfMagnitudes: UnsafeMutablePointer<Double>, _ x: UnsafePointer<Float>, rows N: Int, columns C: Int
  ) {
    pool.parallelRanges(C, grain: 64) { range, _ in
      ck_moments_accumulate(
        sum, sumOfSquares, sumOfMagnitudes, x, N, C, range.lowerBound, range.upperBound)
    }
  }
}
