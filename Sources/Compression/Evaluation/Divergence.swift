// How far a model's next-token distributions are from those of a reference, over a dataset.

package import Tensors
import Transformers
package import Workspace

/// The divergence of a model from a reference, and the perplexities of both on the same tokens.
package struct Divergence: Sendable {
  /// KL(reference || model) of every predicted token in nats, ascending.
  package let sortedTokens: [Double]
  /// Mean divergence of every window.
  package let perWindow: [Double]
  /// Predicted tokens for which both find the same token most probable.
  package let sameTopTokens: Int
  package let model: Perplexity
  package let reference: Perplexity

  package var tokens: Int { sortedTokens.count }
  /// Mean over all tokens, in nats.
  package var meanKL: Double { perWindow.mean(weights: model.weights) }
  /// Standard error of `meanKL` over the windows.
  package var standardError: Double { perWindow.standardError(weights: model.weights) }
  /// What a fraction of the tokens does not exceed.
  package func quantile(_ fraction: Double) -> Double { sortedTokens.quantile(fraction) }
  package var sameTopToken: Double { Double(sameTopTokens) / Double(tokens) }
}

/// Compares `state` with `reference` on every window of `dataset`.
///
/// The distributions compared are those that predict the tokens of a window but the first, each from the tokens before
/// it: the positions of `evaluatePerplexity`. A state compared with itself diverges by exactly 0. What leaves the
/// reference's last layer is remembered, so that the next comparison with it only runs its head.
/// - Parameters:
///   - window: tokens of a window; nil takes whole sequences, which alone are remembered.
///   - store: where the reference's states are.
/// - Throws: `CompressionError` (window, vocabularies of different sizes, losses that are not finite, memory),
///   `TransformerError`, `Cancelled`.
package func evaluateDivergence(
  _ state: ModelState, from reference: ModelState, dataset: Dataset, window: Int? = nil, precision: Precision = .fp32,
  store: StatisticsStore, compute: Compute, monitor: Monitor
) throws -> Divergence {
  // A model against itself goes the same way twice: what is remembered may come from batches of other sizes.
  let isItself =
    KeyChains(state, dataset: dataset).wholeModel == KeyChains(reference, dataset: dataset).wholeModel
  return try divergence(
    of: EvaluatedModel(state), from: reference, dataset: dataset, window: window, precision: precision,
    store: isItself ? nil : store, compute: compute, monitor: monitor)
}

/// The same of a model with any weights.
/// - Parameter store: nil remembers nothing.
func divergence(
  of model: EvaluatedModel, from reference: ModelState, dataset: Dataset, window: Int? = nil, precision: Precision,
  store: StatisticsStore?, compute: Compute, monitor: Monitor
) throws -> Divergence {
  let windows = try DatasetWindows(dataset, length: window)
  let vocabulary = model.transformer.shape.vocabularySize
  guard vocabulary == reference.transformer.shape.vocabularySize else {
    throw CompressionError.vocabularyMismatch(
      model: vocabulary, reference: reference.transformer.shape.vocabularySize)
  }
  let both = [model, EvaluatedModel(reference)]
  for side in both { try windows.check(side.transformer) }
  let wider = both.map(\.transformer).max { $0.activationBytesPerToken < $1.activationBytesPerToken }
  let batches = windows.batches(wider ?? model.transformer), largest = windows.largest(batches)
  let height = LogitRoom.rows(vocabulary: vocabulary)
  let perToken = both.reduce(0) {
    $0 + $1.transformer.activationBytesPerToken + 8 * $1.transformer.shape.hiddenSize
  }
  try requireMemory(
    largest.tokens * perToken + 2 * 4 * height * vocabulary + 8 * windows.predictedTokens,
    for: "Comparing two models on a batch of windows")
  let sides = both.map {
    DivergenceSide($0, batch: largest, precision: precision, compute: compute)
  }
  let memory = store.map {
    LastStates(reference, dataset: dataset, computed: precision, kept: .fp32, store: $0)
  }
  var tokensKL: [Double] = [], perWindow: [Double] = [], losses: [[Double]] = [[], []], same = 0
  for (index, range) in batches.enumerated() {
    let batch = windows.batch(range), tokens = windows.tokens(range)
    let part = monitor.part(Double(index) / Double(batches.count)...Double(index + 1) / Double(batches.count))
    let message = "window \(range.upperBound) of \(windows.count)"
    try sides[0].forward(tokens, batch: batch, monitor: part.part(0...0.4), message)
    let sequences = windows.wholeSequences(range) ?? []
    if memory?.recall(sequences, into: sides[1].hidden.pointer) != true {
      try sides[1].forward(tokens, batch: batch, monitor: part.part(0.4...0.8), message)
      memory?.keep(sequences, sides[1].hidden.pointer)
    }
    let rows = try compare(sides, targets: windows.targets(range), height: height, compute: compute, monitor: part)
    perWindow += try windows.means(rows.map(\.divergence), windows: range)
    losses[0] += try windows.means(rows.map(\.loss), windows: range)
    losses[1] += try windows.means(rows.map(\.referenceLoss), windows: range)
    same += rows.count { $0.sameTopToken }
    tokensKL += rows.map(\.divergence)
  }
  tokensKL.sort()
  return Divergence(
    sortedTokens: tokensKL, perWindow: perWindow, sameTopTokens: same,
    model: Perplexity(perWindow: losses[0], tokens: windows.predictedTokens, weights: windows.weights),
    reference: Perplexity(perWindow: losses[1], tokens: windows.predictedTokens, weights: windows.weights))
}

/// The predicted positions of a batch, in order.
private func compare(
  _ sides: [DivergenceSide], targets: [Int32], height: Int, compute: Compute, monitor: Monitor
) throws(Cancelled) -> [RowDivergence] {
  let vocabulary = sides[0].model.transformer.shape.vocabularySize
  let logits = sides.map { $0.logits(rows: targets.count, compute: compute) }
  var rows: [RowDivergence] = []
  for first in stride(from: 0, to: targets.count, by: height) {
    let range = first..<min(targets.count, first + height)
    let own = try logits[0].logits(ofRows: range, cancellation: monitor.cancellation)
    let reference = try logits[1].logits(ofRows: range, cancellation: monitor.cancellation)
    rows += try compute.divergences(
      own, from: reference, targets: Array(targets[range]), vocabulary: vocabulary,
      cancellation: monitor.cancellation
    ).compactMap { $0 }
    monitor.report(0.8 + 0.2 * Double(range.upperBound) / Double(targets.count), "comparing distributions")
  }
  return rows
}

/// One of the two models with its working memory.
private final class DivergenceSide {
  let model: EvaluatedModel
  private let precision: Precision
  private let pass: ForwardPass
  let hidden: FloatBuffer
  private let room = LogitRoom()

  init(_ model: EvaluatedModel, batch: Batch, precision: Precision, compute: Compute) {
    self.model = model
    self.precision = precision
    pass = model.transformer.makeForwardPass(batch: batch, compute: compute, precision: precision)
    hidden = FloatBuffer(count: batch.tokens * model.transformer.shape.hiddenSize)
  }

  /// Takes tokens through all layers.
  func forward(_ tokens: [Int32], batch: Batch, monitor: Monitor, _ message: String) throws(Cancelled) {
    let layers = model.transformer.shape.layers
    pass.embed(tokens, into: hidden.pointer, batch: batch, weights: model.weights)
    for layer in 0..<layers {
      try pass.layer(
        layer, hidden: hidden.pointer, batch: batch, weights: model.weights, cancellation: monitor.cancellation)
      monitor.report(Double(layer + 1) / Double(layers), "\(message), layer \(layer + 1)")
    }
  }

  /// The logits of the first `rows` rows, a few at a time.
  func logits(rows: Int, compute: Compute) -> TeacherLogits {
    TeacherLogits(
      model.transformer, hidden: hidden.pointer, rows: rows, weights: model.weights, compute: compute,
      precision: precision, room: room)
  }
}
