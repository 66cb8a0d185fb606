// What arithmetic runs on: the compute threads and BLAS. The operations built of both are extensions, one file a kind.

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
}

/// What matrix products are computed in. Everything around them is fp32 in both.
package enum Precision: String, Sendable, CaseIterable {
  /// Operands and sums in fp32.
  case fp32
  /// Operands rounded to bf16, products and sums in fp32: about twice as fast where the processor has instructions
  /// for it, with three significant digits an operand.
  case bf16
}
