// What another model expects, as logits: the output projection of hidden states, a few rows at a time.

package import Tensors

/// A teacher's logits, computed from its last hidden states when they are asked for.
package final class TeacherLogits {
  private let transformer: Transformer
  private let weights: any WeightSource
  private let compute: Compute
  private let precision: Precision
  private let normed: FloatBuffer
  package var vocabulary: Int { transformer.shape.vocabularySize }
  private let room: LogitRoom
  private let scratch = LinearScratch()

  /// - Parameters:
  ///   - hidden: what leaves the teacher's last layer, `[rows, hiddenSize]`; read here and not kept.
  ///   - room: that of others whose logits are not needed any more.
  package init(
    _ transformer: Transformer, hidden: UnsafePointer<Float>, rows: Int, weights: any WeightSource, compute: Compute,
    precision: Precision = .fp32, room: LogitRoom = LogitRoom()
  ) {
    self.room = room
    self.transformer = transformer
    self.weights = weights
    self.compute = compute
    self.precision = precision
    let C = transformer.shape.hiddenSize
    normed = FloatBuffer(count: rows * C)
    compute.normForward(
      MutableMatrixRows(normed.pointer, stride: C), MatrixRows(hidden, stride: C),
      transformer.norm.weights(weights), rows: rows)
  }

  /// `[rows.count, vocabulary]`, valid and the caller's to overwrite until the next call.
  package func logits(
    ofRows rows: Range<Int>, cancellation: Cancellation
  ) throws(Cancelled) -> UnsafeMutablePointer<Float> {
    let C = transformer.shape.hiddenSize, V = transformer.shape.vocabularySize
    let logits = room.logits(rows.count * V)
    try compute.linearForward(
      [LinearTask(MutableMatrixRows(logits, stride: V), weights: weights.tensor(transformer.head.weight))],
      MatrixRows(normed.pointer + rows.lowerBound * C, stride: C), rows: rows.count, scratch: scratch,
      precision: precision, cancellation: cancellation)
    return logits
  }
}
