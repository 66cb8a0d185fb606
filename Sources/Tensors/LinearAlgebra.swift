// Linear algebra for methods: general products here, factorisations in the extensions. Matrices are row-major. OpenBLAS
// works single-threaded on pieces whose sizes depend on the matrices alone, so results do not depend on the threads.

import Synchronization

/// Why an operation did not succeed. What it was to write is without meaning then.
package enum LinearAlgebraError: Error, Equatable {
  /// A size below 1 or beyond what the library can count, or a row that is shorter than the matrix is wide.
  case sizeInvalid
  case notFinite
  case outOfMemory
  /// First seen in this row, from 0.
  case notPositiveDefinite(row: Int)
  case notConverged
  case cancelled
}

/// What one operation may use, and who may stop it.
package struct WorkShare: Sendable {
  /// Whether the calling thread is left alone with it: inside a loop.
  package let isAlone: Bool
  package let cancellation: Cancellation

  package init(alone: Bool = false, cancellation: Cancellation = Cancellation()) {
    isAlone = alone
    self.cancellation = cancellation
  }
}

package protocol LinearAlgebraScalar: BinaryFloatingPoint, BitwiseCopyable, Sendable {
  static var routinePrefix: String { get }
}
extension Float: LinearAlgebraScalar { package static var routinePrefix: String { "s" } }
extension Double: LinearAlgebraScalar { package static var routinePrefix: String { "d" } }

/// Products and factorisations on the compute threads. Cheap to make and to pass around.
package struct LinearAlgebra: Sendable {
  let pool: ComputePool
  private let single: LAPACKRoutines
  private let double: LAPACKRoutines

  /// - Throws: `BLASError` if OpenBLAS cannot be loaded or lacks LAPACK.
  package init(pool: ComputePool) throws(BLASError) {
    self.pool = pool
    (single, double) = try Self.loaded.withLock { (loaded) throws(BLASError) in
      if let routines = loaded { return routines }
      let blas = try BLAS.load()
      let routines = (
        try LAPACKRoutines(Float.routinePrefix, of: blas), try LAPACKRoutines(Double.routinePrefix, of: blas)
      )
      loaded = routines
      return routines
    }
  }

  /// Looked up once: plugins make many small calls.
  private static let loaded = Mutex<(LAPACKRoutines, LAPACKRoutines)?>(nil)

  func routines<Scalar: LinearAlgebraScalar>(_: Scalar.Type) -> LAPACKRoutines {
    Scalar.self == Float.self ? single : double
  }

  /// Runs pieces of work, each once, and waits for them.
  /// - Throws: `cancelled`, some pieces undone.
  func run(_ count: Int, _ share: WorkShare, _ body: (Int) -> Void) throws(LinearAlgebraError) {
    pool.parallelFor(count, atMost: share.isAlone ? 1 : .max, cancellation: share.cancellation) { piece, _ in
      body(piece)
    }
    if share.cancellation.isCancelled { throw .cancelled }
  }

  /// The size as LAPACK counts.
  static func size(_ value: Int, atLeast minimum: Int = 1) throws(LinearAlgebraError) -> Int32 {
    guard value >= minimum, let size = Int32(exactly: value) else { throw .sizeInvalid }
    return size
  }
}

/// A matrix in memory, `stride` elements from row to row.
package struct StridedMatrix<Scalar: LinearAlgebraScalar> {
  let pointer: UnsafePointer<Scalar>
  let stride: Int
  let isTransposed: Bool

  package init(_ pointer: UnsafePointer<Scalar>, stride: Int, transposed: Bool = false) {
    self.pointer = pointer
    self.stride = stride
    isTransposed = transposed
  }

  /// Where row `index` of op(self) begins if `byRow`, else column `index`.
  fileprivate func start(_ index: Int, byRow: Bool) -> UnsafePointer<Scalar> {
    pointer + (byRow != isTransposed ? index * stride : index)
  }
}

extension LinearAlgebra {
  /// Rows and columns of a product that one thread computes at a time.
  private static var pieceRows: Int { 256 }
  private static var pieceColumns: Int { 512 }
  /// Multiplications below which a product is one piece.
  private static var smallest: Int { 1 << 21 }

  /// c[m, n] = alpha op(a)[m, k] op(b)[k, n] + beta c; op transposes what says that it is transposed. Sums are in the
  /// precision of the operands. c overlaps nothing.
  /// - Throws: `sizeInvalid`, `cancelled`.
  package func product<Scalar: LinearAlgebraScalar>(
    _ c: UnsafeMutablePointer<Scalar>, stride: Int, _ a: StridedMatrix<Scalar>, _ b: StridedMatrix<Scalar>, m: Int,
    n: Int, k: Int, alpha: Scalar = 1, beta: Scalar = 0, _ share: WorkShare
  ) throws(LinearAlgebraError) {
    _ = (try Self.size(m), try Self.size(n))
    let k32 = try Self.size(k)
    let lda32 = try Self.size(a.stride, atLeast: a.isTransposed ? m : k)
    let ldb32 = try Self.size(b.stride, atLeast: b.isTransposed ? k : n)
    let ldc32 = try Self.size(stride, atLeast: n)
    let isSmall = m * n <= Self.smallest / k
    let height = isSmall ? m : min(m, Self.pieceRows), width = isSmall ? n : min(n, Self.pieceColumns)
    let down = (m - 1) / height + 1, across = (n - 1) / width + 1
    let gemm = routines(Scalar.self).gemm
    try run(down * across, share) { piece in
      let row = piece / across * height, column = piece % across * width
      var rows = Int32(min(height, m - row)), columns = Int32(min(width, n - column))
      var alpha = alpha, beta = beta
      var (k, lda, ldb, ldc) = (k32, lda32, ldb32, ldc32)
      // Their C is our transpose: Cᵀ = op(B)ᵀ op(A)ᵀ.
      gemm(
        b.isTransposed ? "T" : "N", a.isTransposed ? "T" : "N", &columns, &rows, &k, &alpha,
        b.start(column, byRow: false), &ldb, a.start(row, byRow: true), &lda, &beta, c + row * stride + column, &ldc,
        1, 1)
    }
  }
}
