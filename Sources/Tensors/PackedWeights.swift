// Operands of matrix products in the layout of the kernels: packed weights to keep, and scratch to pack into.

/// Words of packed operands, aligned to a cache line, uninitialised at first. Freed with the object.
final class WordBuffer: @unchecked Sendable {  // threads write parts of their own, then all only read
  let count: Int
  let pointer: UnsafeMutablePointer<UInt32>

  init(count: Int) {
    self.count = count
    let bytes = max(1, count) * MemoryLayout<UInt32>.stride
    pointer = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
      .bindMemory(to: UInt32.self, capacity: max(1, count))
  }

  deinit { UnsafeMutableRawPointer(pointer).deallocate() }
}

/// Memory that products pack their operands into: allocated as they need it, kept for the next. At most 16 MiB, for
/// larger operands are packed in parts. For one product at a time, which is why it may be shared at all.
package final class ProductScratch: @unchecked Sendable {
  private var left = WordBuffer(count: 0)
  private var right = WordBuffer(count: 0)

  package init() {}

  func leftWords(_ count: Int) -> UnsafeMutablePointer<UInt32> {
    if left.count < count { left = WordBuffer(count: count) }
    return left.pointer
  }

  func rightWords(_ count: Int) -> UnsafeMutablePointer<UInt32> {
    if right.count < count { right = WordBuffer(count: count) }
    return right.pointer
  }
}

/// The weights of a linear layer as the right operand of products, packed once and used often. Pruned weights are 0.
///
/// Takes 2 bytes a weight for bf16 where the processor has instructions for it and 4 otherwise, of whole panels of up
/// to 32 rows. Immutable once made.
package final class PackedWeights: Sendable {
  package let kernel: ProductKernel
  /// Columns of the product: rows of the weights [O, I], or their columns if they are transposed.
  package let n: Int
  /// Length of its sums: columns of the weights, or their rows.
  package let k: Int
  private let buffer: WordBuffer

  package var bytes: Int { buffer.count * MemoryLayout<UInt32>.stride }
  var words: UnsafePointer<UInt32> { UnsafePointer(buffer.pointer) }

  /// Packs `weights` [O, I] for x[N, I] · wᵀ, or if `transposed` for dy[N, O] · w.
  package init(_ weights: MaskedTensor, transposed: Bool = false, kernel: ProductKernel, pool: ComputePool) {
    let rows = weights.rows, columns = weights.columns, panel = kernel.panelColumns
    let n = transposed ? columns : rows, k = transposed ? rows : columns
    self.kernel = kernel
    self.n = n
    self.k = k
    buffer = WordBuffer(count: kernel.words(rows: n, panel: panel, k: k))
    let packed = buffer.pointer, steps = kernel.steps(k), inPlace = weights.inPlace
    // A few rows at a time: whole panels, and if transposed whole words.
    let height = 32 * max(1, panel / 32)
    let scratch = FloatBuffer(count: inPlace == nil ? pool.threads * height * columns : 0)
    pool.parallelFor((rows + height - 1) / height) { piece, worker in
      let first = piece * height, count = min(height, rows - first)
      let values: UnsafePointer<Float>
      if let inPlace {
        values = inPlace + first * columns
      } else {
        let floats = scratch.pointer + worker * height * columns
        for row in 0..<count { weights.readRow(first + row, into: floats + row * columns) }
        values = UnsafePointer(floats)
      }
      guard transposed else {
        kernel.pack(packed + first * steps, panel: panel, .rows(values, stride: columns), rows: count, k: k)
        return
      }
      for column in stride(from: 0, to: columns, by: panel) {
        kernel.pack(
          packed + column * steps + first / kernel.elementsPerWord * panel, panel: panel,
          .transposed(values + column, stride: columns), rows: min(panel, columns - column), k: count)
      }
    }
  }
}
