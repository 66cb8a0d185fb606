// Quadratic forms of a matrix's rows: what a linear map's output carries, from the Gram matrix of its inputs.

import CKernels

extension Compute {
  /// Floating-point operations of a piece: a few milliseconds, so that a cancelled one stops soon.
  private static let pieceOperations = 1 << 30

  /// a[r] · g · a[r]ᵀ for each row of a[rows, n]: the squared norm of a[r] · X for g = X · Xᵀ.
  ///
  /// Products in fp32, the row sums of their products with `a` in double. The pieces do not depend on the number of
  /// threads, so neither do the bits.
  /// - Parameters:
  ///   - a: `[rows, n]`; g: `[n, n]`, symmetric.
  /// - Throws: `Cancelled`.
  package func quadraticForms(
    _ a: UnsafePointer<Float>, _ g: UnsafePointer<Float>, rows: Int, n: Int, cancellation: Cancellation
  ) throws(Cancelled) -> [Double] {
    let height = min(rows, max(8, min(256, Self.pieceOperations / (2 * n * n))))
    let products = FloatBuffer(count: pool.threads * height * n)
    var forms = [Double](repeating: 0, count: rows)
    forms.withUnsafeMutableBufferPointer { forms in
      pool.parallelFor((rows + height - 1) / height, cancellation: cancellation) { piece, worker in
        let first = piece * height, count = min(height, rows - first)
        let product = products.pointer + worker * height * n  // [count, n] = a · g
        blas.product(m: count, n: n, k: n, a + first * n, lda: n, g, ldb: n, product, ldc: n)
        for row in 0..<count { forms[first + row] = ck_dot(product + row * n, a + (first + row) * n, n) }
      }
    }
    try cancellation.check()
    return forms
  }

  /// a[r] · x for each row of a[rows, n] and a vector in double; summed in double.
  package func rowProducts(_ a: UnsafePointer<Float>, _ x: [Double], rows: Int) -> [Double] {
    (0..<rows).map { row in
      var sum = 0.0
      for (column, value) in x.enumerated() { sum += Double(a[row * x.count + column]) * value }
      return sum
    }
  }

  /// a -= b for n floats.
  package func subtract(_ a: UnsafeMutablePointer<Float>, _ b: UnsafePointer<Float>, count: Int) {
    pool.parallelRanges(count, grain: 1 << 15) { range, _ in
      ck_axpy(a + range.lowerBound, -1, b + range.lowerBound, range.count)
    }
  }
}
