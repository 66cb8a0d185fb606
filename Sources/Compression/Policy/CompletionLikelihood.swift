// Log-probabilities of completions under a model: the reference's, the teacher's, the student's own.

package import Tensors
package import Transformers
import Workspace

/// log q(token) of every token of every completion, with q = softmax(logits / temperature), by group and member.
/// - Throws: `TransformerError` (a token outside the vocabulary, a sequence too long), `CompressionError` without
///   memory, `Cancelled`.
package func logProbabilities(
  of groups: [SampledGroup], transformer: Transformer, weights: any WeightSource, temperature: Double = 1,
  compute: Compute, precision: Precision = .fp32, monitor: Monitor
) throws -> [[[Double]]] {
  let texts = groups.flatMap { group in group.completions.map { (group.example.promptTokens, $0.tokens) } }
  let all = texts.map { prompt, completion in prompt + completion.dropLast() }
  for tokens in all { try transformer.checkTokens(tokens, length: tokens.count) }
  let batches = sequenceBatches(lengths: all.map(\.count), model: transformer)
  let largest = Batch.covering(batches.map { range in Batch(lengths: all[range].map(\.count)) })
  try requireMemory(largest.tokens * transformer.activationBytesPerToken, for: "Looking at \(all.count) completions")
  let pass = transformer.makeForwardPass(batch: largest, compute: compute, precision: precision)
  let hidden = FloatBuffer(count: largest.tokens * transformer.shape.hiddenSize)
  var found: [[Double]] = []
  for range in batches {
    monitor.report(Double(range.lowerBound) / Double(all.count), "completion \(range.upperBound) of \(all.count)")
    let batch = Batch(lengths: all[range].map(\.count))
    pass.embed(all[range].flatMap { $0 }, into: hidden.pointer, batch: batch, weights: weights)
    for layer in 0..<transformer.shape.layers {
      try pass.layer(
        layer, hidden: hidden.pointer, batch: batch, weights: weights, cancellation: monitor.cancellation)
    }
    let targets = texts[range].flatMap { prompt, completion in prompt.dropLast().map { _ in -1 } + completion }
    var losses = try pass.losses(
      hidden: hidden.pointer, targets: targets, temperature: temperature, weights: weights,
      cancellation: monitor.cancellation)[...]
    for text in texts[range] {
      found.append(losses.prefix(text.1.count).map { -$0 })
      losses = losses.dropFirst(text.1.count)
    }
  }
  var rest = found[...]
  return groups.map { group in
    defer { rest = rest.dropFirst(group.completions.count) }
    return Array(rest.prefix(group.completions.count))
  }
}

extension Batch {
  /// A batch that has room for each of `batches`, of sequences of the longest length.
  package static func covering(_ batches: [Batch]) -> Batch {
    let length = batches.map(\.length).max() ?? 1, tokens = batches.map(\.tokens).max() ?? 1
    return Batch(lengths: [length] + (tokens > length ? [tokens - length] : []))
  }
}
