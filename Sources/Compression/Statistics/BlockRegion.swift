// The output of a block as a function of its matrices, for methods that fit a pruned block to what the block was.

import OrderedCollections
package import Tensors
package import Transformers

/// A block of a model over calibration sequences: each time other weights, always the same inputs and targets.
package final class BlockRegion: Region {
  package let samples: Int
  private let length: Int
  private let matrices: [String]
  private let inputs, targets: FloatBuffer
  private let compute: Compute
  private let cancellation: Cancellation
  private let pass: BlockPass
  private let parameters: Parameters
  private let gradients: ParameterBlock
  /// The gradient of the output.
  private let doutput: FloatBuffer
  /// Sequences that go through the block together.
  private let most: Int

  /// - Parameters:
  ///   - matrices: names of weights of the layer, in the order of the calls.
  ///   - weights: where the layer's other tensors are.
  ///   - inputs: `[sequences * length, hiddenSize]`, what enters the block in the pruned model.
  ///   - targets: the same shape, what leaves the block before pruning, each on its own inputs.
  /// - Throws: `CompressionError.memoryInsufficient`.
  package init(
    _ model: Transformer, layer: Int, matrices: [String], weights: any WeightSource, inputs: FloatBuffer,
    targets: FloatBuffer, sequences: Int, length: Int, compute: Compute, cancellation: Cancellation
  ) throws(CompressionError) {
    precondition(inputs.count == sequences * length * model.shape.hiddenSize && targets.count == inputs.count)
    let batches = sequenceBatches(sequences: sequences, length: length, model: model)
    most = batches.first?.count ?? 1
    let batch = Batch(sequences: most, length: length), layout = ParameterLayout(model, layer: layer)
    precondition(matrices.allSatisfy { layout.entries[$0]?.isMatrix == true }, "matrices of another layer")
    let rows = batch.tokens * model.shape.hiddenSize
    try requireMemory(
      8 * layout.count + 4 * rows + BlockPass.bytes(model, batch: batch), for: "Fitting a block of the model")
    samples = sequences
    self.length = length
    self.matrices = matrices
    self.inputs = inputs
    self.targets = targets
    self.compute = compute
    self.cancellation = cancellation
    pass = BlockPass(model, layer: layer, batch: batch, compute: compute)
    parameters = Parameters(layout, copying: weights, pool: compute.pool)
    gradients = ParameterBlock(layout)
    doutput = FloatBuffer(count: rows)
  }

  package func gradient(
    _ range: Range<Int>, weights: [UnsafePointer<Float>], into out: [UnsafeMutablePointer<Float>]
  ) throws -> Double {
    precondition(weights.count == matrices.count && out.count == matrices.count, "as many as the region has matrices")
    precondition(0 <= range.lowerBound && range.upperBound <= samples, "sequences that the region does not have")
    for (name, values) in zip(matrices, weights) {
      compute.copy(parameters.block[name], from: values, count: count(of: name))
    }
    gradients.clear(pool: compute.pool)
    let perSequence = length * pass.transformer.shape.hiddenSize
    let elements = Double(range.count * perSequence)
    var squares = 0.0
    for first in stride(from: range.lowerBound, to: range.upperBound, by: most) {
      let batch = Batch(sequences: min(most, range.upperBound - first), length: length)
      let count = batch.sequences * perSequence, start = first * perSequence
      let output = try pass.forward(
        inputs.pointer + start, batch: batch, weights: parameters, cancellation: cancellation)
      compute.copy(doutput.pointer, from: output, count: count)
      compute.add(doutput.pointer, targets.pointer + start, times: -1, count: count)
      squares += compute.sumOfSquares(doutput.pointer, count: count)
      compute.scale(doutput.pointer, by: Float(2 / elements), count: count)
      try pass.backward(doutput.pointer, weights: parameters, into: gradients, cancellation: cancellation)
    }
    for (name, values) in zip(matrices, out) {
      compute.copy(values, from: gradients[name], count: count(of: name))
    }
    return range.isEmpty ? 0 : squares / elements
  }

  private func count(of name: String) -> Int { parameters.layout.entries[name]?.count ?? 0 }
}
