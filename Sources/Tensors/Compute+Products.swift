// Large matrix products, cut into pieces that the compute threads take one by one.

import CKernels

/// How a product [m, n] is cut: pieces of `height` rows and `width` columns.
private struct Pieces {
  /// Floating-point operations after which a piece of a product looks whether it is cancelled: about 10 ms of work.
  private static let operations = 1 << 30

  let height, width: Int
  private let m, n, columns: Int

  /// Tall pieces, so that packing the second operand (once a piece) is small beside multiplying by it.
  init(m: Int, n: Int, k: Int, threads: Int) {
    self.m = m
    self.n = n
    height = min(512, max(1, (m + threads - 1) / threads))
    let rows = (m + height - 1) / height
    let wide = max(128, Self.operations / (2 * height * max(1, k)) / 64 * 64)
    let share = rows >= threads ? n : max(64, (n * rows / threads + 63) / 64 * 64)
    width = min(n, wide, share)
    columns = (n + width - 1) / width
  }

  var count: Int { (m + height - 1) / height * columns }

  /// First row and column of a piece, and its sizes.
  subscript(piece: Int) -> (row: Int, column: Int, rows: Int, columns: Int) {
    let row = piece / columns * height, column = piece % columns * width
    return (row, column, min(height, m - row), min(width, n - column))
  }
}

/// fp32 values of a matrix, `stride` floats from row to row.
package struct MatrixRows {
  package let pointer: UnsafePointer<Float>
  package let stride: Int

  package init(_ pointer: UnsafePointer<Float>, stride: Int) {
    self.pointer = pointer
    self.stride = stride
  }
}

/// The same, to be written.
package struct MutableMatrixRows {
  package let pointer: UnsafeMutablePointer<Float>
  package let stride: Int

  package init(_ pointer: UnsafeMutablePointer<Float>, stride: Int) {
    self.pointer = pointer
    self.stride = stride
  }

  package var readOnly: MatrixRows { MatrixRows(UnsafePointer(pointer), stride: stride) }
}

extension Compute {
  /// c[m, n] = a[m, k] · b[n, k]ᵀ (+ c if `accumulate`, + bias[n] in every row), fp32: the forward pass of a linear layer.
  /// - Throws: `Cancelled`; `c` is then partly written.
  func productByTransposed(
    _ c: MutableMatrixRows, _ a: MatrixRows, _ b: MatrixRows, bias: UnsafePointer<Float>? = nil, m: Int, n: Int, k: Int,
    accumulate: Bool, cancellation: Cancellation
  ) throws(Cancelled) {
    let pieces = Pieces(m: m, n: n, k: k, threads: pool.threads)
    pool.parallelFor(pieces.count, cancellation: cancellation) { index, _ in
      let piece = pieces[index]
      let out = c.pointer + piece.row * c.stride + piece.column
      blas.product(
        m: piece.rows, n: piece.columns, k: k, a.pointer + piece.row * a.stride, lda: a.stride,
        b.pointer + piece.column * b.stride, ldb: b.stride, transposingB: true, beta: accumulate ? 1 : 0,
        out, ldc: c.stride)
      if let bias { ck_bias_forward(out, bias + piece.column, piece.rows, piece.columns, c.stride) }
    }
    try cancellation.check()
  }

  /// c[m, n] = a[m, k] · b[k, n] (+ c if `accumulate`), fp32: the gradient of a linear layer's input.
  /// - Throws: `Cancelled`; `c` is then partly written.
  func product(
    _ c: MutableMatrixRows, _ a: MatrixRows, _ b: MatrixRows, m: Int, n: Int, k: Int, accumulate: Bool,
    cancellation: Cancellation
  ) throws(Cancelled) {
    let pieces = Pieces(m: m, n: n, k: k, threads: pool.threads)
    pool.parallelFor(pieces.count, cancellation: cancellation) { index, _ in
      let piece = pieces[index]
      blas.product(
        m: piece.rows, n: piece.columns, k: k, a.pointer + piece.row * a.stride, lda: a.stride,
        b.pointer + piece.column, ldb: b.stride, beta: accumulate ? 1 : 0,
        c.pointer + piece.row * c.stride + piece.column, ldc: c.stride)
    }
    try cancellation.check()
  }

  /// c[m, n] += a[k, m]ᵀ · b[k, n], fp32: the gradient of a linear layer's weights.
  /// - Throws: `Cancelled`; `c` is then partly written.
  func productOfTransposed(
    _ c: MutableMatrixRows, _ a: MatrixRows, _ b: MatrixRows, m: Int, n: Int, k: Int, cancellation: Cancellation
  ) throws(Cancelled) {
    let pieces = Pieces(m: m, n: n, k: k, threads: pool.threads)
    pool.parallelFor(pieces.count, cancellation: cancellation) { index, _ in
      let piece = pieces[index]
      blas.product(
        m: piece.rows, n: piece.columns, k: k, a.pointer + piece.row, lda: a.stride, transposingA: true,
        b.pointer + piece.column, ldb: b.stride, beta: 1,
        c.pointer + piece.row * c.stride + piece.column, ldc: c.stride)
    }
    try cancellation.check()
  }
}
