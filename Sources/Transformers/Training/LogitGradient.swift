// From the last hidden states through the final norm and the output projection to a loss and back, a few rows at a time:
// the logits of a long batch never exist at once. (Liger kernels' fused linear losses, Hsu et al. 2024)

package import Tensors

/// A loss over rows of logits. Implementations say what their rows' targets are.
package protocol LogitLoss {
  /// Turns the logits of some rows into the gradient of the loss with respect to them.
  /// - Parameters:
  ///   - logits: `[rows.count, vocabulary]`, overwritten by the gradient as it enters the parameters' gradients,
  ///     any division by the number of tokens included.
  ///   - rows: which rows of the batch.
  /// - Returns: the sum of the rows' losses in nats, not divided by anything.
  /// - Throws: `Cancelled`, or what keeps the loss from being computed.
  func overwriteWithGradient(
    _ logits: UnsafeMutablePointer<Float>, rows: Range<Int>, vocabulary: Int, compute: Compute,
    cancellation: Cancellation
  ) throws -> Double
}

/// The final norm and the output projection, backward.
struct LogitGradient {
  let transformer: Transformer
  let compute: Compute
  let weights: any WeightSource
  let precision: Precision
  let scratch: LinearScratch
  let room: LogitRoom
  /// Rows whose logits exist at a time, at least 1.
  let height: Int

  /// Adds the gradient of `hidden` to `dhidden` and those of norm and projection to `gradients`.
  /// - Parameters:
  ///   - hidden, dhidden: `[N, C]`, before the final norm.
  ///   - normed, dnormed: scratch, `[N, C]`.
  /// - Returns: the sum of the rows' losses.
  func backward(
    _ dhidden: UnsafeMutablePointer<Float>, through loss: any LogitLoss, hidden: UnsafePointer<Float>, rows N: Int,
    into gradients: ParameterBlock, normed: UnsafeMutablePointer<Float>, dnormed: UnsafeMutablePointer<Float>,
    cancellation: Cancellation
  ) throws -> Double {
    let C = transformer.shape.hiddenSize, V = transformer.shape.vocabularySize, name = transformer.head.weight
    let norm = transformer.norm, normWeights = norm.weights(weights), head = weights.tensor(name)
    compute.normForward(MutableMatrixRows(normed, stride: C), MatrixRows(hidden, stride: C), normWeights, rows: N)
    let height = min(N, height)
    let logits = room.logits(height * V)
    var total = 0.0
    for first in stride(from: 0, to: N, by: height) {
      let rows = first..<min(N, first + height)
      let x = MatrixRows(normed + first * C, stride: C), z = MutableMatrixRows(logits, stride: V)
      try compute.linearForward(
        [LinearTask(z, weights: head)], x, rows: rows.count, scratch: scratch, precision: precision,
        cancellation: cancellation)
      total += try loss.overwriteWithGradient(
        logits, rows: rows, vocabulary: V, compute: compute, cancellation: cancellation)
      try compute.linearBackwardWeights(
        gradients[name], z.readOnly, x, rows: rows.count, outputs: V, inputs: C, scratch: scratch,
        precision: precision, cancellation: cancellation)
      try compute.linearBackwardInput(
        MutableMatrixRows(dnormed + first * C, stride: C), z.readOnly, weights: head, rows: rows.count,
        scratch: scratch, accumulate: false, precision: precision, cancellation: cancellation)
    }
    compute.normBackward(
      MutableMatrixRows(dhidden, stride: C), dweight: gradients[norm.weight], dbias: norm.bias.map { gradients[$0] },
      MatrixRows(dnormed, stride: C), MatrixRows(hidden, stride: C), normWeights, rows: N, accumulate: true)
    return total
  }
}
