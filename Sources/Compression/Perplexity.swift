// Perplexity of a model on a dataset, each window by itself.

import Glibc
package import Tensors
import Transformers
package import Workspace

/// How well a model predicts a dataset.
package struct Perplexity: Sendable, Equatable {
  /// Mean loss of every window, in nats per predicted token.
  package let perWindow: [Double]
  /// Predicted tokens: one less than the window, for each window.
  package let tokens: Int

  /// Mean over the windows, in nats.
  package var nll: Double { perWindow.reduce(0, +) / Double(perWindow.count) }
  package var perplexity: Double { exp(nll) }
  /// Standard error of `nll` over the windows: sample deviation / sqrt(windows); 0 for one window.
  package var standardError: Double {
    let n = Double(perWindow.count), mean = nll
    guard n > 1 else { return 0 }
    let squares = perWindow.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return (squares / (n - 1) / n).squareRoot()
  }
}

/// Evaluates `state` on every window of `dataset`.
///
/// The loss of a window is the mean cross-entropy of its tokens but the first, each predicted from those before it in
/// the window; positions count from 0 in each window.
/// - Parameter window: tokens of a window; sequences are cut into windows and a shorter rest is left out. Nil takes
///   whole sequences.
/// - Parameter precision: what matrix products are computed in.
/// - Throws: `CompressionError`, `TransformerError` (token outside the vocabulary, window too long), `Cancelled`.
package func evaluatePerplexity(
  _ state: ModelState, dataset: Dataset, window: Int? = nil, precision: Precision = .fp32, compute: Compute,
  monitor: Monitor
) throws -> Perplexity {
  let window = window ?? dataset.sequenceLength
  guard window >= 2, window <= dataset.sequenceLength else {
    throw CompressionError.windowInvalid(window: window, sequenceLength: dataset.sequenceLength)
  }
  let model = state.transformer
  try model.checkTokens(dataset.tokens, length: window)
  let perSequence = dataset.sequenceLength / window
  let batches = sequenceBatches(sequences: dataset.sequences * perSequence, length: window, model: model)
  let largest = Batch(sequences: batches.first?.count ?? 1, length: window)
  try requireMemory(largest.tokens * model.activationBytesPerToken, for: "Evaluating a batch of windows")
  let pass = model.makeForwardPass(batch: largest, compute: compute, precision: precision)
  let hidden = FloatBuffer(count: largest.tokens * model.shape.hiddenSize)
  var perWindow: [Double] = []
  for (index, windows) in batches.enumerated() {
    let batch = Batch(sequences: windows.count, length: window)
    let part = monitor.part(Double(index) / Double(batches.count)...Double(index + 1) / Double(batches.count))
    let tokens = windows.flatMap { number in
      let start = number / perSequence * dataset.sequenceLength + number % perSequence * window
      return dataset.tokens[start..<start + window]
    }
    pass.embed(tokens, into: hidden.pointer, batch: batch, weights: state.revision)
    for layer in 0..<model.shape.layers {
      try pass.layer(
        layer, hidden: hidden.pointer, batch: batch, weights: state.revision, cancellation: monitor.cancellation,
        observer: nil)
      part.report(
        Double(layer + 1) / Double(model.shape.layers + 1),
        "window \(windows.upperBound) of \(dataset.sequences * perSequence), layer \(layer + 1)")
    }
    let losses = try pass.nextTokenLosses(
      hidden: hidden.pointer, tokens: tokens, batch: batch, weights: state.revision,
      cancellation: monitor.cancellation)
    let predictions = window - 1
    for number in 0..<windows.count {
      let mean = losses[number * predictions..<(number + 1) * predictions].reduce(0, +) / Double(predictions)
      guard mean.isFinite else { throw CompressionError.nonFiniteLoss(window: windows.lowerBound + number) }
      perWindow.append(mean)
    }
  }
  return Perplexity(perWindow: perWindow, tokens: perWindow.count * (window - 1))
}
