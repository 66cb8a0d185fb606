// One block of a decoder by itself, forward and back: from what enters it to its output, and from any gradient of that
// output to those of its parameters. The whole model's pass is TrainingPass.swift.

package import Tensors

/// Forward and backward of one layer over batches of whole sequences, with its working memory. Used by one thread at a
/// time.
package final class BlockPass {
  package let transformer: Transformer
  package let layer: Int
  private let compute: Compute
  private let largest: Batch
  private let rotaryTables: [RotaryTable]
  private let input, output: FloatBuffer  // [N, C]
  private let tape: BlockTape
  private let scratch: BackwardScratch
  private let attentionScratch: FloatBuffer
  private let linearScratch = LinearScratch()
  private var batch = Batch(sequences: 0, length: 0)

  /// - Parameter batch: the largest that will go through, in tokens and in length.
  package init(_ transformer: Transformer, layer: Int, batch: Batch, compute: Compute) {
    self.transformer = transformer
    self.layer = layer
    self.compute = compute
    largest = batch
    let N = batch.tokens, C = transformer.shape.hiddenSize
    rotaryTables = transformer.rotaryTables(length: batch.length)
    input = FloatBuffer(count: N * C)
    output = FloatBuffer(count: N * C)
    tape = BlockTape(transformer.blocks[layer], rows: N, hiddenSize: C)
    scratch = BackwardScratch(transformer, rows: N)
    attentionScratch = FloatBuffer(count: compute.attentionBackwardScratch(rows: batch.length))
  }

  /// Bytes of working memory for a batch.
  package static func bytes(_ transformer: Transformer, batch: Batch) -> Int {
    let states = 4 * 2 * transformer.shape.hiddenSize
    return batch.tokens * (states + transformer.trainingBytesPerToken)
  }

  /// Takes `hidden` (`[batch.tokens, hiddenSize]`, copied) through the layer. Positions count from 0 in each sequence.
  /// - Returns: the layer's output, `[batch.tokens, hiddenSize]`, valid until the next call.
  /// - Throws: `Cancelled`; there is then nothing to go back through.
  package func forward(
    _ hidden: UnsafePointer<Float>, batch: Batch, weights: any WeightSource, cancellation: Cancellation
  ) throws(Cancelled) -> UnsafePointer<Float> {
    precondition(
      batch.tokens <= largest.tokens && batch.length <= largest.length, "a batch beyond what this pass has memory for")
    self.batch = batch
    compute.copy(input.pointer, from: hidden, count: batch.tokens * transformer.shape.hiddenSize)
    let forward = BlockForward(
      transformer: transformer, compute: compute, weights: weights, precision: .fp32, rotaryTables: rotaryTables,
      linearScratch: linearScratch, cancellation: cancellation)
    let form = transformer.blocks[layer].attention.form
    try forward(layer: layer, activations, runs: batch.runs, rows: batch.tokens) { () throws(Cancelled) in
      try compute.attentionForward(
        batch.attentionSpans(activations, form), form: form, scratch: attentionScratch, cancellation: cancellation)
    }
    return UnsafePointer(output.pointer)
  }

  /// Goes back through the layer, once for each `forward`.
  /// - Parameters:
  ///   - doutput: the gradient of the output, `[batch.tokens, hiddenSize]`.
  ///   - gradients: has a place for every tensor of the layer (`ParameterLayout(_:layer:)`); added to.
  /// - Returns: the gradient of the input, valid until the next call.
  /// - Throws: `Cancelled`; gradients are then partly added.
  @discardableResult
  package func backward(
    _ doutput: UnsafePointer<Float>, weights: any WeightSource, into gradients: ParameterBlock,
    cancellation: Cancellation
  ) throws(Cancelled) -> UnsafePointer<Float> {
    compute.copy(scratch.state.pointer, from: doutput, count: batch.tokens * transformer.shape.hiddenSize)
    let backward = BlockBackward(
      transformer: transformer, compute: compute, weights: weights, precision: .fp32, rotaryTables: rotaryTables,
      scratch: scratch, attentionScratch: attentionScratch, linearScratch: linearScratch, gradients: gradients,
      cancellation: cancellation)
    try backward(layer: layer, activations, batch: batch)
    return UnsafePointer(scratch.state.pointer)
  }

  private var activations: BlockActivations {
    tape.activations(
      input: input.pointer, output: output.pointer, active: scratch.active.pointer, normed: scratch.normed.pointer)
  }
}
