// The variants of Espalier's own matrix product that this processor runs, and what their operands look like.

import CKernels

/// One way to multiply packed operands: for one instruction set and one precision (CKernels/gemm.c).
///
/// Rounding to bf16 is to nearest, ties to even, denormals to zero; NaN and infinities pass. All variants of a precision
/// round alike and sum in the order of k, but fuse and pair differently: results differ by the rounding of fp32 sums.
/// One variant gives the same bits however many threads work.
package struct ProductKernel: Sendable {
  package let precision: Precision
  /// The instruction set: `avx512-bf16`, `avx512`, `avx2` or `plain`.
  package let name: String
  /// Rows of a panel of the left operand, and of the right one.
  let panelRows: Int, panelColumns: Int
  /// Consecutive elements of k that share a word of 32 bits.
  let elementsPerWord: Int
  private let packFunction: PackFunction
  private let multiplyFunction: MultiplyFunction

  private typealias PackFunction =
    @convention(c) (UnsafeMutablePointer<UInt32>?, Int, UnsafePointer<Float>?, Int, Int, Int, Int) -> Void
  private typealias MultiplyFunction =
    @convention(c) (
      UnsafeMutablePointer<Float>?, Int, UnsafePointer<UInt32>?, Int, UnsafePointer<UInt32>?, Int, Int, Int, Int, Int32
    ) -> Void

  /// Whether the processor multiplies bf16 itself (AVX512-BF16), about twice as fast as fp32. Where it does not, bf16
  /// products give the same numbers at the speed of fp32.
  package static var hasFastBF16: Bool { ck_has_bf16() != 0 }

  /// Every variant that this processor runs, fastest first. Never empty.
  package static func available(_ precision: Precision) -> [ProductKernel] {
    var kernels: [ProductKernel] = []
    while let kernel = ProductKernel(precision, index: kernels.count) { kernels.append(kernel) }
    return kernels
  }

  private static let fastestFP32 = available(.fp32)[0]
  private static let fastestBF16 = available(.bf16)[0]

  /// The fastest variant here.
  package static func fastest(_ precision: Precision) -> ProductKernel {
    precision == .bf16 ? fastestBF16 : fastestFP32
  }

  private init?(_ precision: Precision, index: Int) {
    guard let variant = ck_gemm_variant(precision == .bf16 ? 1 : 0, index)?.pointee,
      let pack = variant.pack, let multiply = variant.multiply
    else { return nil }
    self.precision = precision
    name = String(cString: variant.name)
    panelRows = variant.panel_rows
    panelColumns = variant.panel_columns
    elementsPerWord = variant.k_per_word
    packFunction = pack
    multiplyFunction = multiply
  }

  /// Words that `k` elements of one row take.
  func steps(_ k: Int) -> Int { (k + elementsPerWord - 1) / elementsPerWord }

  /// Words of an operand of `rows` rows packed in panels of `panel`.
  func words(rows: Int, panel: Int, k: Int) -> Int { (rows + panel - 1) / panel * panel * steps(k) }

  /// Packs `rows` rows of `k` elements in panels of `panel`.
  func pack(_ packed: UnsafeMutablePointer<UInt32>, panel: Int, _ x: MatrixOperand, rows: Int, k: Int) {
    packFunction(packed, panel, x.pointer, x.rowStride, x.columnStride, rows, k)
  }

  /// c[m, n] (+)= a · bᵀ over `steps` words of operands that have `aSteps` and `bSteps` of them.
  func multiply(
    _ c: UnsafeMutablePointer<Float>, ldc: Int, _ a: UnsafePointer<UInt32>, aSteps: Int, _ b: UnsafePointer<UInt32>,
    bSteps: Int, m: Int, n: Int, steps: Int, accumulate: Bool
  ) {
    multiplyFunction(c, ldc, a, aSteps, b, bSteps, m, n, steps, accumulate ? 1 : 0)
  }
}

/// One operand of a product: fp32 values, element (i, k) at `pointer[i * rowStride + k * columnStride]`. Both strides
/// are free, so that a transposed operand costs what a plain one does.
package struct MatrixOperand {
  package let pointer: UnsafePointer<Float>
  package let rowStride: Int
  package let columnStride: Int

  package init(_ pointer: UnsafePointer<Float>, rowStride: Int, columnStride: Int) {
    self.pointer = pointer
    self.rowStride = rowStride
    self.columnStride = columnStride
  }

  /// A row-major matrix [rows, k], its rows `stride` floats apart.
  package static func rows(_ pointer: UnsafePointer<Float>, stride: Int) -> MatrixOperand {
    MatrixOperand(pointer, rowStride: stride, columnStride: 1)
  }

  /// The transpose of a row-major matrix [k, rows], whose rows are `stride` floats apart.
  package static func transposed(_ pointer: UnsafePointer<Float>, stride: Int) -> MatrixOperand {
    MatrixOperand(pointer, rowStride: 1, columnStride: stride)
  }

  /// The operand that begins at element (row, k).
  func from(row: Int, k: Int) -> MatrixOperand {
    MatrixOperand(pointer + row * rowStride + k * columnStride, rowStride: rowStride, columnStride: columnStride)
  }
}
