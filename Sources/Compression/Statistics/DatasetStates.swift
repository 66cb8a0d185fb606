// The hidden states of a whole dataset on their way through a model, layer by layer: all batches go through a layer
// before the next layer begins.

package import Tensors
package import Transformers
package import Workspace

/// `[tokens, hiddenSize]` of a dataset, with the working memory to take them through layers. Used by one thread at a
/// time.
package final class DatasetStates {
  /// `[dataset.tokens.count, hiddenSize]`, sequence by sequence.
  package let hidden: FloatBuffer
  /// The sequences that go through a layer together.
  package let batches: [Range<Int>]
  private let model: Transformer
  private let dataset: Dataset
  private let pass: ForwardPass
  private let pool: ComputePool

  /// - Throws: `TransformerError` if the model cannot take the dataset's sequences.
  package init(_ model: Transformer, dataset: Dataset, compute: Compute) throws {
    try model.checkTokens(dataset.tokens, length: dataset.sequenceLength)
    self.model = model
    self.dataset = dataset
    pool = compute.pool
    batches = sequenceBatches(sequences: dataset.sequences, length: dataset.sequenceLength, model: model)
    let largest = Batch(sequences: batches.first?.count ?? 1, length: dataset.sequenceLength)
    pass = model.makeForwardPass(batch: largest, compute: compute)
    hidden = FloatBuffer(count: dataset.tokens.count * model.shape.hiddenSize)
  }

  /// Bytes of the hidden states alone.
  package static func stateBytes(_ model: Transformer, dataset: Dataset) -> Int {
    4 * dataset.tokens.count * model.shape.hiddenSize
  }

  /// Bytes of hidden states and working memory.
  package static func bytes(_ model: Transformer, dataset: Dataset) -> Int {
    stateBytes(model, dataset: dataset) + batchTokens(model, dataset: dataset) * model.activationBytesPerToken
  }

  /// Rows of the largest batch.
  package static func batchTokens(_ model: Transformer, dataset: Dataset) -> Int {
    let batches = sequenceBatches(sequences: dataset.sequences, length: dataset.sequenceLength, model: model)
    return (batches.first?.count ?? 1) * dataset.sequenceLength
  }

  /// Makes the states those that enter the first layer.
  package func embed(weights: any WeightSource) {
    for sequences in batches {
      pass.embed(
        dataset.tokens(ofSequences: sequences), into: pointer(sequences), batch: batch(sequences), weights: weights)
    }
  }

  /// Takes the states through `layer`, in place.
  /// - Parameters:
  ///   - observer: sees the layer's linear inputs.
  ///   - progress: called with the part of the layer that is done, 0...1.
  /// - Throws: `Cancelled`; the states are then undefined.
  package func advance(
    through layer: Int, weights: any WeightSource, observer: LayerObserver? = nil, cancellation: Cancellation,
    progress: (Double) -> Void = { _ in }
  ) throws(Cancelled) {
    let weights = DecodedLayer(layer, of: model, weights: weights, batches: batches.count, pool: pool)
    for (index, sequences) in batches.enumerated() {
      let batch = batch(sequences)
      try pass.layer(
        layer, hidden: pointer(sequences), batch: batch, weights: weights, cancellation: cancellation,
        observer: observer.map { observer in
          { observer.observe($0, $1, rows: $2, sequences: batch.sequences) }
        })
      progress(Double(index + 1) / Double(batches.count))
    }
  }

  private func pointer(_ sequences: Range<Int>) -> UnsafeMutablePointer<Float> {
    hidden.pointer + sequences.lowerBound * dataset.sequenceLength * model.shape.hiddenSize
  }

  private func batch(_ sequences: Range<Int>) -> Batch {
    Batch(sequences: sequences.count, length: dataset.sequenceLength)
  }
}
