// Memory that linear layers work in: weights that are not fp32 where they lie, and packed operands.

/// Grows as it is needed, and is kept for the next layer. For one layer at a time.
package final class LinearScratch {
  private var weights = FloatBuffer(count: 0)
  let product = ProductScratch()

  package init() {}

  /// The weights as fp32 `[rows, columns]`: in place, or read into this memory until the next call.
  func floats(of tensor: MaskedTensor, pool: ComputePool) -> UnsafePointer<Float> {
    if let inPlace = tensor.inPlace { return inPlace }
    let count = tensor.rows * tensor.columns
    if weights.count < count { weights = FloatBuffer(count: count) }
    return tensor.floats(orReadInto: weights.pointer, pool: pool)
  }
}
