// Losses over logits: next-token cross-entropy, and the forward divergence from a teacher's logits.

package import Tensors

/// Cross-entropy: -log softmax(logits)[target] of every row that has a target.
package struct CrossEntropy: LogitLoss {
  /// A token for each row of the batch; -1 where the row predicts nothing.
  package let targets: [Int32]
  /// What the gradient of each row is multiplied with: 1 / (valid rows of the whole step) for a mean.
  package let scale: Float

  package init(targets: [Int32], scale: Float) {
    self.targets = targets
    self.scale = scale
  }

  /// Rows that have a target.
  package var validRows: Int { targets.count { $0 >= 0 } }

  /// The next token of every position; the last of each sequence has none.
  package static func nextTokens(_ tokens: [Int32], length: Int) -> [Int32] {
    tokens.indices.map { ($0 + 1) % length == 0 ? -1 : tokens[$0 + 1] }
  }

  package func overwriteWithGradient(
    _ logits: UnsafeMutablePointer<Float>, rows: Range<Int>, vocabulary: Int, compute: Compute,
    cancellation: Cancellation
  ) throws(Cancelled) -> Double {
    try compute.sumOverRows(rows.count, cancellation: cancellation) { row in
      let target = targets[rows.lowerBound + row]
      return compute.crossEntropyBackward(
        logits + row * vocabulary, target: target < 0 ? nil : Int(target), vocabulary: vocabulary, scale: scale)
    }
  }
}

/// Forward Kullback-Leibler divergence KL(teacher || student) at a temperature, over all rows.
/// (Hinton et al. 2015, with the gradient (q - p) / T and no factor T^2)
package struct ForwardDivergence: LogitLoss {
  private let teacher: TeacherLogits
  private let temperature: Float
  private let scale: Float

  /// - Parameters:
  ///   - scale: what every row's gradient is multiplied with: 1 / rows for a mean.
  package init(from teacher: TeacherLogits, temperature: Float = 1, scale: Float) {
    self.teacher = teacher
    self.temperature = temperature
    self.scale = scale
  }

  package func overwriteWithGradient(
    _ logits: UnsafeMutablePointer<Float>, rows: Range<Int>, vocabulary: Int, compute: Compute,
    cancellation: Cancellation
  ) throws(Cancelled) -> Double {
    let target = try teacher.logits(ofRows: rows, cancellation: cancellation)
    return try compute.sumOverRows(rows.count, cancellation: cancellation) { row in
      compute.forwardDivergenceBackward(
        logits + row * vocabulary, teacher: target + row * vocabulary, vocabulary: vocabulary,
        temperature: temperature, scale: scale)
    }
  }
}

/// A teacher's logits, computed from its last hidden states when they are asked for.
package final class TeacherLogits {
  private let transformer: Transformer
  private let weights: any WeightSource
  private let compute: Compute
  private let precision: Precision
  private let normed: FloatBuffer
  package var vocabulary: Int { transformer.shape.vocabularySize }
  private var logits = FloatBuffer(count: 0)
  private let scratch = LinearScratch()

  /// - Parameter hidden: what leaves the teacher's last layer, `[rows, hiddenSize]`; read here and not kept.
  package init(
    _ transformer: Transformer, hidden: UnsafePointer<Float>, rows: Int, weights: any WeightSource, compute: Compute,
    precision: Precision = .fp32
  ) {
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
    if logits.count < rows.count * V { logits = FloatBuffer(count: rows.count * V) }
    try compute.linearForward(
      [LinearTask(MutableMatrixRows(logits.pointer, stride: V), weights: weights.tensor(transformer.head.weight))],
      MatrixRows(normed.pointer + rows.lowerBound * C, stride: C), rows: rows.count, scratch: scratch,
      precision: precision, cancellation: cancellation)
    return logits.pointer
  }
}
