// Cholesky's factorisation A = L Lᵀ of symmetric positive definite matrices, and what it is good for. Only lower
// triangles are read and written unless it says otherwise.

extension LinearAlgebra {
  /// Rows of a block on the diagonal, which one thread factorises.
  private static var block: Int { 256 }
  /// Right sides that one thread solves for at a time.
  private static var rightSides: Int { 64 }

  /// a[n, n] = l lᵀ in place, block by block from the top: the block on the diagonal is factorised, the rows under it
  /// are solved for, and their products leave the rest. (Golub & Van Loan, Matrix Computations, section 4.2.6)
  /// - Throws: `notPositiveDefinite`, also for what is not finite; `sizeInvalid`, `cancelled`.
  package func cholesky<Scalar: LinearAlgebraScalar>(
    _ a: UnsafeMutablePointer<Scalar>, stride: Int, n: Int, _ share: WorkShare
  ) throws(LinearAlgebraError) {
    _ = try Self.size(n)
    let lda = try Self.size(stride, atLeast: n)
    let block = Self.block
    for first in Swift.stride(from: 0, to: n, by: block) {
      if share.cancellation.isCancelled { throw .cancelled }
      let diagonal = a + first * stride + first
      let width = min(block, n - first)
      try factorise(diagonal, lda, rows: width, first: first)

      let below = n - first - width
      guard below > 0 else { return }
      let panel = diagonal + width * stride
      let strips = (below - 1) / (block / 2) + 1
      try run(strips, share) { strip in
        let row = strip * (block / 2)
        solve(diagonal, lda, width: width, panel + row * stride, rows: min(block / 2, below - row))
      }

      let tiles = (below - 1) / block + 1
      let pairs = (0..<tiles).flatMap { i in (0...i).map { (i * block, $0 * block) } }
      try run(pairs.count, share) { pair in
        let (row, column) = pairs[pair]
        let rest = panel + width + row * stride + column
        subtract(
          panel + row * stride, panel + column * stride, lda, width: width, from: rest,
          rows: min(block, below - row), columns: min(block, below - column), isDiagonal: row == column)
      }
    }
  }

  /// l lᵀ of one block.
  private func factorise<Scalar: LinearAlgebraScalar>(
    _ a: UnsafeMutablePointer<Scalar>, _ lda: Int32, rows: Int, first: Int
  ) throws(LinearAlgebraError) {
    var n = Int32(rows), lda = lda, info: Int32 = 0
    routines(Scalar.self).potrf("U", &n, a, &lda, &info, 1)
    // LAPACK's test lets NaN pass; what is not finite shows on the diagonal of its row.
    let sound = info > 0 ? Int(info) - 1 : rows
    for row in 0..<sound where !(a[row * Int(lda) + row] > 0 && a[row * Int(lda) + row].isFinite) {
      throw .notPositiveDefinite(row: first + row)
    }
    if info > 0 { throw .notPositiveDefinite(row: first + sound) }
  }

  /// x lᵀ = b in place, for rows of b. Theirs: U = lᵀ, Uᵀ xᵀ = bᵀ.
  private func solve<Scalar: LinearAlgebraScalar>(
    _ l: UnsafeMutablePointer<Scalar>, _ lda: Int32, width: Int, _ b: UnsafeMutablePointer<Scalar>, rows: Int
  ) {
    var m = Int32(width), n = Int32(rows), lda = lda, ldb = lda, one: Scalar = 1
    routines(Scalar.self).trsm("L", "U", "T", "N", &m, &n, &one, l, &lda, b, &ldb, 1, 1, 1, 1)
  }

  /// c -= p qᵀ; on the diagonal, where p is q, the lower triangle only.
  private func subtract<Scalar: LinearAlgebraScalar>(
    _ p: UnsafeMutablePointer<Scalar>, _ q: UnsafeMutablePointer<Scalar>, _ stride: Int32, width: Int,
    from c: UnsafeMutablePointer<Scalar>, rows: Int, columns: Int, isDiagonal: Bool
  ) {
    var m = Int32(rows), n = Int32(columns), k = Int32(width)
    var ldp = stride, ldq = stride, ldc = stride
    var minusOne: Scalar = -1, one: Scalar = 1
    let routines = routines(Scalar.self)
    if isDiagonal {
      routines.syrk("U", "T", &m, &k, &minusOne, p, &ldp, &one, c, &ldc, 1, 1)
    } else {
      routines.gemm("T", "N", &n, &m, &k, &minusOne, q, &ldq, p, &ldp, &one, c, &ldc, 1, 1)
    }
  }

  /// (l lᵀ) x = b in place for `count` right sides, each a row of b[count, n]; l as `cholesky` leaves it.
  /// - Throws: `sizeInvalid`, `cancelled`.
  package func choleskySolve<Scalar: LinearAlgebraScalar>(
    _ l: UnsafePointer<Scalar>, stride: Int, n: Int, _ b: UnsafeMutablePointer<Scalar>, bStride: Int, count: Int,
    _ share: WorkShare
  ) throws(LinearAlgebraError) {
    _ = try Self.size(count)
    let n32 = try Self.size(n), lda32 = try Self.size(stride, atLeast: n)
    let ldb32 = try Self.size(bStride, atLeast: n)
    let potrs = routines(Scalar.self).potrs
    try run((count - 1) / Self.rightSides + 1, share) { piece in
      let first = piece * Self.rightSides
      var n = n32, lda = lda32, ldb = ldb32, info: Int32 = 0
      var columns = Int32(min(Self.rightSides, count - first))
      potrs("U", &n, &columns, l, &lda, b + first * bStride, &ldb, &info, 1)
    }
  }

  /// l[n, n] becomes (l lᵀ)⁻¹, both triangles. One thread; 2/3 n³ multiplications.
  /// - Throws: `notPositiveDefinite` for a 0 on the diagonal of l; `sizeInvalid`, `cancelled`.
  package func choleskyInverse<Scalar: LinearAlgebraScalar>(
    _ l: UnsafeMutablePointer<Scalar>, stride: Int, n: Int, _ share: WorkShare
  ) throws(LinearAlgebraError) {
    var n32 = try Self.size(n), lda = try Self.size(stride, atLeast: n), info: Int32 = 0
    if share.cancellation.isCancelled { throw .cancelled }
    routines(Scalar.self).potri("U", &n32, l, &lda, &info, 1)
    guard info == 0 else { throw .notPositiveDefinite(row: Int(info) - 1) }
    for row in 0..<n {
      for column in 0..<row { l[column * stride + row] = l[row * stride + column] }
    }
    if share.cancellation.isCancelled { throw .cancelled }
  }
}
