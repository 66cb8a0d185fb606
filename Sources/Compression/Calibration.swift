// Statistics of what goes into each linear map, over a calibration dataset.

import OrderedCollections
package import Tensors
import Transformers
package import Workspace

/// What the moments of one layer's linear inputs depend on: the data, and every tensor up to that layer.
package struct CalibrationKey: Hashable, Sendable {
  let dataset: String
  let tensors: [TensorKey]
}

/// Moments of one layer, in the order of `Transformer.linearInputs(layer:)`.
package typealias LayerMoments = [Moments]

/// Remembers the moments of layers.
package typealias CalibrationCache = ResultCache<CalibrationKey, LayerMoments>

/// The moments of every layer's linear inputs, and how many layers were remembered rather than computed.
package struct Calibration: Sendable {
  package let layers: [LayerMoments]
  package let reusedLayers: Int

  /// The moments of the inputs of a tensor; nil if the model has no such linear map.
  func moments(of tensor: PrunableTensor, model: Transformer) -> Moments? {
    model.linearInputs(layer: tensor.layer).firstIndex { $0.tensors.contains(tensor.name) }
      .map { layers[tensor.layer][$0] }
  }
}

/// Runs `dataset` through `state` and collects the moments of all layers up to and with `lastLayer`.
/// - Throws: `TransformerError`, `Cancelled`.
package func calibrate(
  _ state: ModelState, dataset: Dataset, lastLayer: Int, cache: CalibrationCache, compute: Compute, monitor: Monitor
) throws -> Calibration {
  let model = state.transformer
  let keys = calibrationKeys(state, dataset: dataset, lastLayer: lastLayer)
  let remembered = keys.map(cache.value)
  if remembered.allSatisfy({ $0 != nil }) {
    return Calibration(layers: remembered.compactMap { $0 }, reusedLayers: keys.count)
  }
  try model.checkTokens(dataset.tokens, length: dataset.sequenceLength)
  let batches = sequenceBatches(sequences: dataset.sequences, length: dataset.sequenceLength, model: model)
  let largest = Batch(sequences: batches.first?.count ?? 1, length: dataset.sequenceLength)
  try requireMemory(largest.tokens * model.activationBytesPerToken, for: "Calibrating on a batch of sequences")
  let pass = model.makeForwardPass(batch: largest, compute: compute)
  let hidden = FloatBuffer(count: largest.tokens * model.shape.hiddenSize)
  let observers = (0...lastLayer).map { MomentsObserver(model.linearInputs(layer: $0), compute: compute) }
  for (index, sequences) in batches.enumerated() {
    let batch = Batch(sequences: sequences.count, length: dataset.sequenceLength)
    pass.embed(dataset.tokens(ofSequences: sequences), into: hidden.pointer, batch: batch, weights: state.revision)
    for layer in 0...lastLayer {
      try pass.layer(
        layer, hidden: hidden.pointer, batch: batch, weights: state.revision, cancellation: monitor.cancellation,
        observer: { observers[layer].observe($0, $1, rows: $2, sequences: batch.sequences) })
      let done = Double(index) + Double(layer + 1) / Double(lastLayer + 1)
      monitor.report(done / Double(batches.count), "calibrating, layer \(layer + 1) of \(lastLayer + 1)")
    }
  }
  for (key, observer) in zip(keys, observers) {
    let bytes = observer.moments.reduce(0) { $0 + 32 * $1.sum.count } + 32 * key.tensors.count
    cache.remember(observer.moments, for: key, bytes: bytes)
  }
  return Calibration(layers: observers.map(\.moments), reusedLayers: 0)
}

private func calibrationKeys(_ state: ModelState, dataset: Dataset, lastLayer: Int) -> [CalibrationKey] {
  let model = state.transformer
  func keys(_ names: [String]) -> [TensorKey] { names.compactMap { state.revision.tensors[$0].map(TensorKey.init) } }
  var chain = keys(model.embeddingTensors)
  return (0...lastLayer).map { layer in
    chain += keys(model.tensors(layer: layer))
    return CalibrationKey(dataset: dataset.digest, tensors: chain)
  }
}

/// Adds up the moments of one layer's linear inputs as they pass by.
final class MomentsObserver {
  private(set) var moments: LayerMoments
  private let inputs: [LinearInput]
  private let compute: Compute

  init(_ inputs: [LinearInput], compute: Compute) {
    self.inputs = inputs
    self.compute = compute
    moments = inputs.map { Moments(inputs: $0.columns) }
  }

  func observe(_ input: LinearInput, _ activations: UnsafePointer<Float>, rows: Int, sequences: Int) {
    guard let index = inputs.firstIndex(of: input) else { return }
    let length = rows / sequences
    var (sum, squares) = (moments[index].sum, moments[index].sumOfSquares)
    for sequence in 0..<sequences {
      var magnitudes = [Double](repeating: 0, count: input.columns)
      compute.momentsAccumulate(
        sum: &sum, sumOfSquares: &squares, sumOfMagnitudes: &magnitudes,
        activations + sequence * length * input.columns, rows: length, columns: input.columns)
      for (column, magnitude) in magnitudes.enumerated() {
        let mean = magnitude / Double(length)
        moments[index].sumOfMagnitudes[column] += magnitude
        moments[index].sumOfSquaredMeans[column] += mean * mean
      }
    }
    moments[index].sum = sum
    moments[index].sumOfSquares = squares
    moments[index].tokens += rows
    moments[index].sequences += sequences
  }
}
