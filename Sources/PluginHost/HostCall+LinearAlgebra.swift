// The host's extension ESPALIER_LINEAR_ALGEBRA: the C functions, each a line over `LinearAlgebra` of Tensors.

import CPluginABI
import Tensors

/// The one table of functions, which lives as long as the process.
///
/// `nonisolated(unsafe)`: written once, before anyone can read it, and never again.
enum LinearAlgebraTable {
  static var pointer: UnsafeRawPointer { UnsafeRawPointer(table) }

  private nonisolated(unsafe) static let table: UnsafeMutablePointer<espalier_linear_algebra> = {
    let table = UnsafeMutablePointer<espalier_linear_algebra>.allocate(capacity: 1)
    table.initialize(
      to: espalier_linear_algebra(
        struct_size: UInt32(MemoryLayout<espalier_linear_algebra>.size), reserved: 0,
        product_f32: { host, transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc in
          HostCall.product(host, (transposeA, transposeB), (m, n, k), alpha, a, lda, b, ldb, beta, c, ldc)
        },
        product_f64: { host, transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc in
          HostCall.product(host, (transposeA, transposeB), (m, n, k), alpha, a, lda, b, ldb, beta, c, ldc)
        },
        cholesky_f32: { HostCall.cholesky($0, $1, $2, $3, $4) },
        cholesky_f64: { HostCall.cholesky($0, $1, $2, $3, $4) },
        cholesky_solve_f32: { HostCall.choleskySolve($0, $1, $2, $3, $4, $5, $6) },
        cholesky_solve_f64: { HostCall.choleskySolve($0, $1, $2, $3, $4, $5, $6) },
        cholesky_inverse_f64: { host, n, l, lda in
          HostCall.compute(host) { algebra, share throws(LinearAlgebraError) in
            try algebra.choleskyInverse(given(l), stride: Int(lda), n: Int(n), share)
          }
        },
        eigen_f32: { HostCall.eigen($0, $1, $2, $3, $4) },
        eigen_f64: { HostCall.eigen($0, $1, $2, $3, $4) }))
    return table
  }()
}

extension HostCall {
  typealias Host = UnsafePointer<espalier_host>

  /// Runs an operation for the call behind `host`: on the calling thread alone if a loop of that call is under way.
  static func compute(
    _ host: Host?, _ body: (LinearAlgebra, WorkShare) throws(LinearAlgebraError) -> Void
  ) -> Int32 {
    guard let call = HostCall.of(host) else { return ESPALIER_INVALID_ARGUMENT }
    let algebra: LinearAlgebra
    do throws(BLASError) {
      algebra = try call.services.linearAlgebra()
    } catch {
      call.note(error)
      return ESPALIER_FAILED
    }
    do throws(LinearAlgebraError) {
      try body(algebra, WorkShare(alone: call.isInLoop, cancellation: call.monitor.cancellation))
      return ESPALIER_OK
    } catch {
      switch error {
      case .sizeInvalid, .notFinite: return ESPALIER_INVALID_ARGUMENT
      case .outOfMemory: return ESPALIER_OUT_OF_MEMORY
      case .notPositiveDefinite, .notConverged: return ESPALIER_FAILED
      case .cancelled:
        call.noteCutShort()
        return ESPALIER_CANCELLED
      }
    }
  }

  fileprivate static func product<Scalar: LinearAlgebraScalar>(
    _ host: Host?, _ transposes: (Int32, Int32), _ sizes: (Int64, Int64, Int64), _ alpha: Scalar,
    _ a: UnsafePointer<Scalar>?, _ lda: Int64, _ b: UnsafePointer<Scalar>?, _ ldb: Int64, _ beta: Scalar,
    _ c: UnsafeMutablePointer<Scalar>?, _ ldc: Int64
  ) -> Int32 {
    compute(host) { algebra, share throws(LinearAlgebraError) in
      guard (0...1).contains(transposes.0), (0...1).contains(transposes.1) else { throw .sizeInvalid }
      try algebra.product(
        given(c), stride: Int(ldc), StridedMatrix(given(a), stride: Int(lda), transposed: transposes.0 == 1),
        StridedMatrix(given(b), stride: Int(ldb), transposed: transposes.1 == 1), m: Int(sizes.0), n: Int(sizes.1),
        k: Int(sizes.2), alpha: alpha, beta: beta, share)
    }
  }

  fileprivate static func cholesky<Scalar: LinearAlgebraScalar>(
    _ host: Host?, _ n: Int64, _ a: UnsafeMutablePointer<Scalar>?, _ lda: Int64, _ pivot: UnsafeMutablePointer<Int64>?
  ) -> Int32 {
    compute(host) { algebra, share throws(LinearAlgebraError) in
      let pivot = try given(pivot)
      do throws(LinearAlgebraError) {
        try algebra.cholesky(given(a), stride: Int(lda), n: Int(n), share)
      } catch {
        if case .notPositiveDefinite(let row) = error { pivot.pointee = Int64(row) }
        throw error
      }
    }
  }

  fileprivate static func choleskySolve<Scalar: LinearAlgebraScalar>(
    _ host: Host?, _ n: Int64, _ l: UnsafePointer<Scalar>?, _ lda: Int64, _ count: Int64,
    _ b: UnsafeMutablePointer<Scalar>?, _ ldb: Int64
  ) -> Int32 {
    compute(host) { algebra, share throws(LinearAlgebraError) in
      try algebra.choleskySolve(
        given(l), stride: Int(lda), n: Int(n), given(b), bStride: Int(ldb), count: Int(count), share)
    }
  }

  fileprivate static func eigen<Scalar: LinearAlgebraScalar>(
    _ host: Host?, _ n: Int64, _ a: UnsafeMutablePointer<Scalar>?, _ lda: Int64,
    _ values: UnsafeMutablePointer<Scalar>?
  ) -> Int32 {
    compute(host) { algebra, share throws(LinearAlgebraError) in
      try algebra.eigen(given(a), stride: Int(lda), n: Int(n), values: given(values), share)
    }
  }
}

/// - Throws: `sizeInvalid` for NULL.
private func given<Pointer>(_ pointer: Pointer?) throws(LinearAlgebraError) -> Pointer {
  guard let pointer else { throw .sizeInvalid }
  return pointer
}
