// What each layer does to the hidden state, and what the model loses without it: two measures of depth.

import Tensors
import Transformers
import Workspace

/// Measures of all layers over a dataset.
struct LayerMeasurements {
  /// For each layer the sum over all tokens of the cosine between the states that enter and leave it, in double: BI is
  /// 1 minus its mean. (Men et al. 2024, eq. 1)
  var cosineSums: [Double]
  var tokens: Int
  /// The mean loss in nats with each layer left out, and with all; empty and 0 unless asked for.
  var lossesWithout: [Double] = []
  var loss = 0.0
}

/// Measures every layer of `state` on `dataset`, each window by itself.
///
/// One pass for the cosines. The losses take a pass over the layers behind each one that is left out: L (L + 1) / 2
/// layers in all, two states of a batch in memory.
/// - Throws: `TransformerError`, `CompressionError.memoryInsufficient`, `Cancelled`.
func measureLayers(
  _ state: ModelState, dataset: Dataset, losses: Bool, compute: Compute, monitor: Monitor
) throws -> LayerMeasurements {
  let model = state.transformer, channels = model.shape.hiddenSize, layers = model.shape.layers
  let length = dataset.sequenceLength
  try model.checkTokens(dataset.tokens, length: length)
  let batches = sequenceBatches(sequences: dataset.sequences, length: length, model: model)
  let largest = Batch(sequences: batches.first?.count ?? 1, length: length)
  try requireMemory(
    largest.tokens * (model.activationBytesPerToken + 8 * channels), for: "Measuring layers on a batch of sequences")
  let pass = model.makeForwardPass(batch: largest, compute: compute)
  let hidden = FloatBuffer(count: largest.tokens * channels), other = FloatBuffer(count: largest.tokens * channels)
  var sums = [Double](repeating: 0, count: layers), lossSums = [Double](repeating: 0, count: layers), lossSum = 0.0
  let steps = Double(batches.count) * Double(losses ? layers * (layers + 1) / 2 : layers)
  var done = 0.0
  func run(_ layer: Int, _ buffer: FloatBuffer, _ batch: Batch, _ message: String) throws {
    try pass.layer(
      layer, hidden: buffer.pointer, batch: batch, weights: state.revision, cancellation: monitor.cancellation)
    done += 1
    monitor.report(min(1, done / steps), message)
  }
  for sequences in batches {
    let batch = Batch(sequences: sequences.count, length: length), count = batch.tokens * channels
    let tokens = dataset.tokens(ofSequences: sequences)
    func totalLoss(_ buffer: FloatBuffer) throws -> Double {
      try pass.nextTokenLosses(
        hidden: buffer.pointer, tokens: tokens, batch: batch, weights: state.revision,
        cancellation: monitor.cancellation
      ).reduce(0, +)
    }
    pass.embed(tokens, into: hidden.pointer, batch: batch, weights: state.revision)
    for layer in 0..<layers {
      if losses {
        other.pointer.update(from: hidden.pointer, count: count)
        for later in layer + 1..<layers {
          try run(later, other, batch, "the loss without layer \(layer + 1) of \(layers)")
        }
        lossSums[layer] += try totalLoss(other)
      }
      other.pointer.update(from: hidden.pointer, count: count)
      try run(layer, hidden, batch, "measuring layer \(layer + 1) of \(layers)")
      sums[layer] += cosineSum(other.pointer, hidden.pointer, rows: batch.tokens, columns: channels)
    }
    if losses { lossSum += try totalLoss(hidden) }
  }
  var measured = LayerMeasurements(cosineSums: sums, tokens: dataset.sequences * length)
  if losses {
    let predictions = Double(dataset.sequences * (length - 1))
    measured.lossesWithout = lossSums.map { $0 / predictions }
    measured.loss = lossSum / predictions
  }
  return measured
}

/// The sum over rows of a·b / (|a| |b|), in double in row order; 1 for equal rows of zeros, 0 if only one is zero.
func cosineSum(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, rows: Int, columns: Int) -> Double {
  var sum = 0.0
  for row in 0..<rows {
    var product = 0.0, squaresA = 0.0, squaresB = 0.0
    for column in row * columns..<(row + 1) * columns {
      let x = Double(a[column]), y = Double(b[column])
      product += x * y
      squaresA += x * x
      squaresB += y * y
    }
    if squaresA == 0 || squaresB == 0 {
      sum += squaresA == squaresB ? 1 : 0
    } else {
      sum += product / (squaresA * squaresB).squareRoot()
    }
  }
  return sum
}
