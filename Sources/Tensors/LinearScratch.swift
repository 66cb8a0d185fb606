// Memory that linear layers work in: weights that are not fp32 where they lie, and packed operands.

/// Grows as it is needed, and is kept for the next layer. For one layer at a time.
package final class LinearScratch {
  /// Weights that are converted at a time: 16 MiB of fp32.
  private static let elements = 1 << 22

  private var weights = FloatBuffer(count: 0)
  let product = ProductScratch()

  package init() {}

  /// Calls `body` with the weights as fp32, all rows at once where they lie as such, else some rows at a time.
  func forEachPart<E: Error>(
    of tensor: MaskedTensor, pool: ComputePool, _ body: (_ rows: Range<Int>, UnsafePointer<Float>) throws(E) -> Void
  ) throws(E) {
    if let inPlace = tensor.inPlace { return try body(0..<tensor.rows, inPlace) }
    let height = min(tensor.rows, max(1, Self.elements / tensor.columns))
    if weights.count < height * tensor.columns { weights = FloatBuffer(count: height * tensor.columns) }
    for first in stride(from: 0, to: tensor.rows, by: height) {
      let rows = first..<min(tensor.rows, first + height)
      tensor.read(rows: rows, into: weights.pointer, pool: pool)
      try body(rows, UnsafePointer(weights.pointer))
    }
  }
}
