// Perplexity of a model on a dataset, each window by itself.

import Glibc
package import Tensors
import Transformers
package import Workspace

/// How well a model predicts a dataset.
package struct Perplexity: Sendable, Equatable {
  /// Mean loss of every window, in nats per predicted token.
  package let perWindow: [Double]
  /// Predicted tokens: one less than the window, for each window of a text.
  package let tokens: Int
  /// Predicted tokens of each window if they differ.
  package var weights: [Int]?

  /// Mean over the predicted tokens, in nats. Windows of a text have equally many, so it is that over the windows.
  package var nll: Double { perWindow.mean(weights: weights) }
  package var perplexity: Double { exp(nll) }
  /// Standard error of `nll` over the windows.
  package var standardError: Double { perWindow.standardError(weights: weights) }
}

/// Evaluates `state` on every window of `dataset`.
///
/// The loss of a window is the mean cross-entropy of its tokens but the first, each predicted from those before it in
/// the window; positions count from 0 in each window. Of documents those tokens are predicted that are targets, each
/// segment by itself.
/// - Parameter window: tokens of a window; sequences are cut into windows and a shorter rest is left out. Nil takes
///   whole sequences.
/// - Parameter precision: what matrix products are computed in.
/// - Throws: `CompressionError`, `TransformerError` (token outside the vocabulary, window too long), `Cancelled`.
package func evaluatePerplexity(
  _ state: ModelState, dataset: Dataset, window: Int? = nil, precision: Precision = .fp32, compute: Compute,
  monitor: Monitor
) throws -> Perplexity {
  try perplexity(
    of: EvaluatedModel(state), dataset: dataset, window: window, precision: precision, compute: compute,
    monitor: monitor)
}

/// The same with any weights.
func perplexity(
  of evaluated: EvaluatedModel, dataset: Dataset, window: Int? = nil, precision: Precision, compute: Compute,
  monitor: Monitor
) throws -> Perplexity {
  let windows = try DatasetWindows(dataset, length: window)
  let (model, weights) = (evaluated.transformer, evaluated.weights)
  try windows.check(model)
  let batches = windows.batches(model), largest = windows.largest(batches)
  try requireMemory(largest.tokens * model.activationBytesPerToken, for: "Evaluating a batch of windows")
  let pass = model.makeForwardPass(batch: largest, compute: compute, precision: precision)
  let hidden = FloatBuffer(count: largest.tokens * model.shape.hiddenSize)
  var perWindow: [Double] = []
  for (index, range) in batches.enumerated() {
    let batch = windows.batch(range)
    let part = monitor.part(Double(index) / Double(batches.count)...Double(index + 1) / Double(batches.count))
    pass.embed(windows.tokens(range), into: hidden.pointer, batch: batch, weights: weights)
    for layer in 0..<model.shape.layers {
      try pass.layer(
        layer, hidden: hidden.pointer, batch: batch, weights: weights, cancellation: monitor.cancellation,
        observer: nil)
      part.report(
        Double(layer + 1) / Double(model.shape.layers + 1),
        "window \(range.upperBound) of \(windows.count), layer \(layer + 1)")
    }
    let losses = try pass.losses(
      hidden: hidden.pointer, targets: windows.targets(range), weights: weights,
      cancellation: monitor.cancellation)
    perWindow += try windows.means(losses, windows: range)
  }
  return Perplexity(perWindow: perWindow, tokens: windows.predictedTokens, weights: windows.weights)
}
