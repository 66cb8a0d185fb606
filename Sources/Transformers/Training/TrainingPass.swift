// A forward pass that can be gone back: hidden states of every layer, activations of as many as the plan keeps, and the
// gradients of all parameters from that of a loss on logits or hidden states.

package import Tensors

/// Gradients of a loss on what is inside a model.
package struct InnerGradients {
  /// On what enters layers, by layer (the count of layers: on what leaves the last), `[batch.tokens, hiddenSize]` each.
  package var states: [Int: FloatBuffer] = [:]
  /// On queries, keys and values side by side as attention sees them, by layer, `[batch.tokens, width]` each.
  package var projections: [Int: FloatBuffer] = [:]

  package init() {}
}

/// Forward and backward over batches of whole sequences, with its working memory. Used by one thread at a time.
///
///     try pass.forward(tokens, batch: batch, weights: parameters, cancellation: cancellation)
///     let loss = try pass.backward(through: CrossEntropy(...), weights: parameters, into: gradients, ...)
///
/// Gradients add up in `gradients` until somebody clears them.
package final class TrainingPass {
  package let transformer: Transformer
  package let plan: ActivationPlan
  let compute: Compute
  private let precision: Precision
  private let largest: Batch
  private let logitRows: Int
  private let rotaryTables: [RotaryTable]
  /// What enters each layer, and what leaves the last. `[N, C]` each
  private let states: [FloatBuffer]
  /// Activations of the layers that keep them, the last ones; and of the one that is being computed again.
  private let tapes: [BlockTape]
  private let spare: BlockTape?
  private let scratch: BackwardScratch
  private let attentionScratch: FloatBuffer
  private let linearScratch = LinearScratch()
  private let logitRoom = LogitRoom()
  private var tokens: [Int32] = []
  private var batch = Batch(sequences: 0, length: 0)

  /// - Parameters:
  ///   - batch: the largest that will go through, in tokens and in length.
  ///   - logitRows: rows whose logits exist at a time; nil chooses by the vocabulary.
  package init(
    _ transformer: Transformer, batch: Batch, plan: ActivationPlan, compute: Compute, precision: Precision = .fp32,
    logitRows: Int? = nil
  ) {
    self.transformer = transformer
    self.plan = plan
    self.compute = compute
    self.precision = precision
    largest = batch
    self.logitRows = logitRows ?? LogitRoom.rows(vocabulary: transformer.shape.vocabularySize)
    let N = batch.tokens, C = transformer.shape.hiddenSize, layers = transformer.shape.layers
    rotaryTables = transformer.rotaryTables(length: batch.length)
    states = (0...layers).map { _ in FloatBuffer(count: N * C) }
    tapes = transformer.blocks.suffix(plan.keptLayers).map { BlockTape($0, rows: N, hiddenSize: C) }
    spare = plan.keptLayers < layers ? BlockTape(widestOf: transformer, rows: N) : nil
    scratch = BackwardScratch(transformer, rows: N)
    attentionScratch = FloatBuffer(count: compute.attentionBackwardScratch(rows: batch.length))
  }

  /// What enters layer `layer` (`shape.layers` for what leaves the last): `[batch.tokens, hiddenSize]`, valid after
  /// `forward` until the next.
  package func state(enteringLayer layer: Int) -> UnsafePointer<Float> { UnsafePointer(states[layer].pointer) }

  /// Queries, keys and values of layer `layer` side by side as attention sees them: `[batch.tokens, width]`, valid
  /// after `forward` until the next; nil unless the layer keeps its activations.
  package func projections(ofLayer layer: Int) -> UnsafePointer<Float>? {
    let tape = tape(ofLayer: layer)
    return tape === spare ? nil : UnsafePointer(tape.projections)
  }

  /// Takes `tokens` (`[batch.tokens]`, checked by the caller) through all layers.
  /// - Throws: `Cancelled`; there is then nothing to go back through.
  package func forward(
    _ tokens: [Int32], batch: Batch, weights: any WeightSource, cancellation: Cancellation
  ) throws(Cancelled) {
    precondition(
      tokens.count == batch.tokens && batch.tokens <= largest.tokens && batch.length <= largest.length,
      "a batch beyond what this pass has memory for")
    self.tokens = tokens
    self.batch = batch
    transformer.embed(tokens, runs: batch.runs, into: states[0].pointer, weights: weights, compute: compute)
    for layer in 0..<transformer.shape.layers {
      try run(layer: layer, output: states[layer + 1].pointer, weights: weights, cancellation: cancellation)
    }
  }

  /// Goes back through the final norm, the layers and the embedding.
  /// - Parameters:
  ///   - loss: of the logits; nil if there is only `stateGradients`.
  ///   - inner: gradients of a loss on what is inside, for the loss that the logits have.
  ///   - gradients: the parameters' gradients are added to it.
  /// - Returns: the sum of the rows' losses as `loss` counts them.
  /// - Throws: `Cancelled`, what `loss` or `inner` throw; gradients are then partly added.
  @discardableResult
  package func backward(
    through loss: (any LogitLoss)?, weights: any WeightSource, into gradients: ParameterBlock,
    cancellation: Cancellation, inner: (_ logitLoss: Double) throws -> InnerGradients? = { _ in nil }
  ) throws -> Double {
    let layers = transformer.shape.layers, count = batch.tokens * transformer.shape.hiddenSize
    let gradient = scratch.state.pointer
    compute.pool.parallelRanges(count, grain: 1 << 14) { range, _ in
      (gradient + range.lowerBound).update(repeating: 0, count: range.count)
    }
    var total = 0.0
    if let loss {
      let head = LogitGradient(
        transformer: transformer, compute: compute, weights: weights, precision: precision, scratch: linearScratch,
        room: logitRoom, height: logitRows)
      total = try head.backward(
        gradient, through: loss, hidden: states[layers].pointer, rows: batch.tokens, into: gradients,
        normed: scratch.normed.pointer, dnormed: scratch.dnormed.pointer, cancellation: cancellation)
    }
    let inner = try inner(total) ?? InnerGradients()
    if let more = inner.states[layers] { compute.add(gradient, more.pointer, count: count) }
    for layer in (0..<layers).reversed() {
      let tape = tape(ofLayer: layer)
      if tape === spare {
        try run(layer: layer, output: nil, weights: weights, cancellation: cancellation)
      }
      let backward = BlockBackward(
        transformer: transformer, compute: compute, weights: weights, precision: precision,
        rotaryTables: rotaryTables, scratch: scratch, attentionScratch: attentionScratch,
        linearScratch: linearScratch, gradients: gradients, cancellation: cancellation)
      try backward(
        layer: layer, activations(layer, tape, output: nil), batch: batch, projections: inner.projections[layer])
      if let more = inner.states[layer] { compute.add(gradient, more.pointer, count: count) }
    }
    embeddingBackward(gradient, into: gradients)
    return total
  }

  private func tape(ofLayer layer: Int) -> BlockTape {
    let first = transformer.shape.layers - plan.keptLayers
    if layer >= first { return tapes[layer - first] }
    guard let spare else { preconditionFailure("a layer without a tape and no spare one") }
    return spare
  }

  /// Computes a layer's activations; its output only if there is a place for it.
  private func run(
    layer: Int, output: UnsafeMutablePointer<Float>?, weights: any WeightSource, cancellation: Cancellation
  ) throws(Cancelled) {
    let forward = BlockForward(
      transformer: transformer, compute: compute, weights: weights, precision: precision, rotaryTables: rotaryTables,
      linearScratch: linearScratch, cancellation: cancellation)
    let activations = activations(layer, tape(ofLayer: layer), output: output)
    let form = transformer.blocks[layer].attention.form, batch = batch
    try forward(
      layer: layer, activations, runs: batch.runs, rows: batch.tokens, leavingOutOutput: output == nil
    ) { () throws(Cancelled) in
      try compute.attentionForward(
        batch.attentionSpans(activations, form), form: form, scratch: attentionScratch, cancellation: cancellation)
    }
  }

  private func activations(
    _ layer: Int, _ tape: BlockTape, output: UnsafeMutablePointer<Float>?
  ) -> BlockActivations {
    tape.activations(
      input: states[layer].pointer, output: output ?? scratch.dnormed.pointer, active: scratch.active.pointer,
      normed: scratch.normed.pointer)
  }

  private func embeddingBackward(_ gradient: UnsafePointer<Float>, into gradients: ParameterBlock) {
    let embedding = transformer.embedding, C = transformer.shape.hiddenSize
    compute.embeddingBackward(
      gradients[embedding.tokens], channels: C, gradient, ids: tokens, scale: embedding.scale)
    guard let positions = embedding.positions else { return }
    let ids = batch.runs.flatMap { run in (0..<run.rows).map { Int32($0) } }
    compute.embeddingBackward(
      gradients[positions.tensor], channels: C, gradient, ids: ids, offset: positions.offset)
  }
}
