// What arithmetic runs on: the compute threads, BLAS, and the matrix products built of both.

import CKernels

/// The engine room: one per process. Cheap to pass around.
package final class Compute: Sendable {
  package let pool: ComputePool
  package let blas: BLAS

  /// - Throws: `BLASError` if OpenBLAS cannot be loaded.
  package init(pool: ComputePool) throws(BLASError) {
    self.pool = pool
    blas = try BLAS.load()
  }

  /// The instruction set of Espalier's own kernels: `avx512`, `avx2` or `baseline`.
  package static var instructionSet: String { String(cString: ck_instruction_set()) }

  /// Floating-point operations after which a piece of a product looks whether it is cancelled: about 10 ms of work.
  private static let pieceOperations = 1 << 30

  /// out[N, O] = x[N, I] · w[O, I]ᵀ (+ out if `accumulate`), all row-major fp32: a linear layer without bias.
  /// - Parameter scratch: O * I floats, used if the weights have to be converted or masked.
  /// - Throws: `Cancelled`; `out` is then partly written.
  package func linearForward(
    _ out: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ weights: MaskedTensor, rows N: Int,
    scratch: FloatBuffer, accumulate: Bool = false, cancellation: Cancellation
  ) throws(Cancelled) {
    let O = weights.rows, I = weights.columns
    let w = weights.floats(orReadInto: scratch.pointer, pool: pool)
    // Tall pieces, so that packing w (once a piece) is small beside multiplying by it.
    let tallest = min(512, max(1, (N + pool.threads - 1) / pool.threads))
    let rowPieces = (N + tallest - 1) / tallest
    let wide = max(128, Self.pieceOperations / (2 * tallest * I) / 64 * 64)
    let share = rowPieces >= pool.threads ? O : max(64, (O * rowPieces / pool.threads + 63) / 64 * 64)
    let width = min(O, wide, share)
    let columnPieces = (O + width - 1) / width
    let beta: Float = accumulate ? 1 : 0
    pool.parallelFor(rowPieces * columnPieces, cancellation: cancellation) { piece, _ in
      let n = piece / columnPieces * tallest, o = piece % columnPieces * width
      blas.multiplyByTransposed(
        m: min(tallest, N - n), n: min(width, O - o), k: I, x + n * I, lda: I, w + o * I, ldb: I,
        beta: beta, out + n * O + o, ldc: O)
    }
    try cancellation.check()
  }
}
