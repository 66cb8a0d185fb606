// The forward pass of evaluation and calibration: whole sequences, layer by layer, in place, losses at the end.

import OrderedCollections
package import Tensors

extension Transformer {
  /// Working memory for batches of at most `batch`.
  package func makeForwardPass(batch: Batch, compute: Compute, precision: Precision = .fp32) -> ForwardPass {
    ForwardPass(transformer: self, batch: batch, compute: compute, precision: precision)
  }

  /// Tables of every rotary embedding for positions below `length`.
  func rotaryTables(length: Int) -> [RotaryTable] {
    rotaries.map { RotaryTable(length: length, frequencies: $0.frequencies) }
  }
}

/// A forward pass with its working memory, used by one thread at a time.
package final class ForwardPass {
  private let transformer: Transformer
  private let compute: Compute
  private let precision: Precision
  private let rotaryTables: [RotaryTable]
  private let normed, attentionOut: FloatBuffer  // [N, C]
  private let rotated: FloatBuffer  // [N, W]
  private let attended: FloatBuffer  // [N, H*D]
  private let gate, up: FloatBuffer  // [N, F]
  private let scores: FloatBuffer  // attention scratch
  private let linearScratch = LinearScratch()

  fileprivate init(transformer: Transformer, batch: Batch, compute: Compute, precision: Precision) {
    self.transformer = transformer
    self.compute = compute
    self.precision = precision
    let N = batch.tokens, C = transformer.shape.hiddenSize, F = transformer.widest { $0.feedForward.neurons }
    rotaryTables = transformer.rotaryTables(length: batch.length)
    normed = FloatBuffer(count: N * C)
    attentionOut = FloatBuffer(count: transformer.hasPostNorms ? N * C : 0)
    rotated = FloatBuffer(count: N * transformer.widest { $0.attention.width })
    attended = FloatBuffer(count: N * transformer.widest { $0.attention.form.shape.queryWidth })
    gate = FloatBuffer(count: N * F)
    up = FloatBuffer(count: N * F)
    scores = FloatBuffer(count: compute.attentionScratch(keys: batch.length))
  }

  /// Queries, keys and values side by side as attention saw them in the layer that was computed last:
  /// `[batch.tokens, width]`.
  package var projections: UnsafePointer<Float> { UnsafePointer(rotated.pointer) }

  /// hidden[n, :] = what enters the first layer for tokens[n]. Ids are checked by the caller.
  package func embed(
    _ tokens: [Int32], into hidden: UnsafeMutablePointer<Float>, batch: Batch, weights: any WeightSource
  ) {
    transformer.embed(tokens, runs: batch.runs, into: hidden, weights: weights, compute: compute)
  }

  /// Takes `hidden` (`[batch.tokens, hiddenSize]`) through layer `layer`, in place. Positions count from 0 in each
  /// sequence.
  /// - Parameter leavingOutOutput: stop when `observer` has seen every input; `hidden` is then undefined.
  /// - Throws: `Cancelled`; `hidden` is then undefined.
  package func layer(
    _ layer: Int, hidden: UnsafeMutablePointer<Float>, batch: Batch, weights: any WeightSource,
    cancellation: Cancellation, observer: LinearInputObserver? = nil, leavingOutOutput: Bool = false
  ) throws(Cancelled) {
    let forward = BlockForward(
      transformer: transformer, compute: compute, weights: weights, precision: precision, rotaryTables: rotaryTables,
      linearScratch: linearScratch, cancellation: cancellation, observer: observer)
    let activations = BlockActivations(
      input: hidden, middle: hidden, output: hidden, projected: rotated.pointer, rotated: rotated.pointer,
      attended: attended.pointer, attentionOut: attentionOut.pointer, feedForwardOut: attentionOut.pointer,
      gate: gate.pointer, up: up.pointer, active: gate.pointer, normed: normed.pointer)
    let form = transformer.blocks[layer].attention.form
    try forward(
      layer: layer, activations, runs: batch.runs, rows: batch.tokens, leavingOutOutput: leavingOutOutput
    ) { () throws(Cancelled) in
      try compute.attentionForward(
        batch.attentionSpans(activations, form), form: form, scratch: scores, cancellation: cancellation)
    }
  }

  /// The loss of predicting token t+1 from position t, in nats: for each of the sequences, which are of one length,
  /// `length - 1` values.
  /// - Parameter tokens: the batch's own tokens, `[sequences * length]`.
  /// - Throws: `Cancelled`.
  package func nextTokenLosses(
    hidden: UnsafePointer<Float>, tokens: [Int32], batch: Batch, weights: any WeightSource,
    cancellation: Cancellation
  ) throws(Cancelled) -> [Double] {
    try losses(
      hidden: hidden, targets: CrossEntropy.nextTokens(tokens, length: batch.length), weights: weights,
      cancellation: cancellation)
  }

  /// The loss of predicting `targets`, in nats: one value for each row that has a target, in order.
  /// - Parameters:
  ///   - hidden: what leaves the last layer, `[targets.count, hiddenSize]`.
  ///   - targets: a token for each row, checked by the caller; -1 where the row predicts nothing.
  ///   - temperature: what logits are divided by, above 0.
  /// - Throws: `Cancelled`.
  package func losses(
    hidden: UnsafePointer<Float>, targets: [Int32], temperature: Double = 1, weights: any WeightSource,
    cancellation: Cancellation
  ) throws(Cancelled) -> [Double] {
    let C = transformer.shape.hiddenSize, norm = transformer.norm.weights(weights)
    var row = 0, filled = 0
    while row < targets.count {  // runs of rows that predict something, one after another
      let end = targets[row...].firstIndex { $0 < 0 } ?? targets.count
      compute.normForward(
        MutableMatrixRows(normed.pointer + filled * C, stride: C), MatrixRows(hidden + row * C, stride: C), norm,
        rows: end - row)
      filled += end - row
      row = targets[end...].firstIndex { $0 >= 0 } ?? targets.count
    }
    if temperature != 1 {
      // The head is linear: its inputs divided are its outputs divided.
      let scale = Float(1 / temperature)
      compute.pool.parallelRanges(filled * C, grain: 1 << 14) { [normed] range, _ in
        for index in range { normed.pointer[index] *= scale }
      }
    }
    return try compute.crossEntropyForward(
      hidden: normed.pointer, head: weights.tensor(transformer.head.weight), targets: targets.filter { $0 >= 0 },
      scratch: linearScratch, precision: precision, cancellation: cancellation)
  }
}

extension Transformer {
  var hasPostNorms: Bool { blocks.contains { $0.attentionPostNorm != nil || $0.feedForwardPostNorm != nil } }

  /// hidden[n, :] = scale * the token's embedding + its position's. Ids and positions are checked by the caller.
  func embed(
    _ tokens: [Int32], runs: [PositionRun], into hidden: UnsafeMutablePointer<Float>, weights: any WeightSource,
    compute: Compute
  ) {
    compute.embeddingForward(hidden, table: weights.tensor(embedding.tokens), ids: tokens, scale: embedding.scale)
    guard let positions = embedding.positions else { return }
    let table = weights.tensor(positions.tensor)
    let rows = runs.flatMap { run in (0..<run.rows).map { Int32(run.position + $0) } }
    let vectors = FloatBuffer(count: rows.count * shape.hiddenSize)
    compute.embeddingForward(vectors.pointer, table: table, ids: rows, offset: positions.offset)
    compute.add(hidden, vectors.pointer, count: vectors.count)
  }
}

extension Batch {
  /// Every sequence's queries over its own keys and values, all in `a.rotated`.
  func attentionSpans(_ a: BlockActivations, _ form: AttentionForm) -> [AttentionSpan] {
    let shape = form.shape, width = shape.queryWidth + 2 * shape.kvWidth
    return runs.map { run in
      let rows = a.rotated + run.row * width
      return AttentionSpan(
        MutableMatrixRows(a.attended + run.row * shape.queryWidth, stride: shape.queryWidth),
        queries: MatrixRows(rows, stride: width), keys: MatrixRows(rows + shape.queryWidth, stride: width),
        values: MatrixRows(rows + shape.queryWidth + shape.kvWidth, stride: width), rows: run.rows)
    }
  }
}
