// The forward pass of generation: prompts in pieces, then one token at a time for several sequences together, over
// cached keys and values.
//
// Legend: N rows, C hidden size, F neurons, V vocabulary, H query heads, D head size, W as in BlockForward.swift.

package import Tensors

/// Decodes sequences of one model, with all its working memory. Used by one thread at a time.
///
/// A row is computed alike whatever other sequences are decoded beside it: at most `Compute.fewRows` go together, and
/// of so few each is summed by itself. So generating together gives the same bits as one by one.
package final class DecodingPass {
  /// Rows of a prompt that go through the model together.
  private static let longestPiece = 512

  private let transformer: Transformer
  private let weights: any WeightSource
  private let compute: Compute
  private let precision: Precision
  private let cache: KeyValueCache
  private let rotaryTables: [RotaryTable]
  private let hidden, normed, unnormed: FloatBuffer  // [N, C]
  private let projected: FloatBuffer  // [N, W]
  private let attended: FloatBuffer  // [N, H*D]
  private let gate, up: FloatBuffer  // [N, F]
  private let logits: FloatBuffer  // [fewRows, V]
  private let scores: FloatBuffer  // attention scratch
  private let linearScratch = LinearScratch()

  /// - Parameter capacities: for each sequence how many tokens are fed to the model at most; 1...maximum length each,
  ///   checked by the caller.
  package init(
    _ transformer: Transformer, weights: any WeightSource, capacities: [Int], compute: Compute,
    precision: Precision = .fp32
  ) {
    self.transformer = transformer
    self.weights = weights
    self.compute = compute
    self.precision = precision
    let longest = capacities.max() ?? 1, group = min(capacities.count, Compute.fewRows)
    let N = max(min(longest, Self.longestPiece), group)
    let C = transformer.shape.hiddenSize, F = transformer.widest { $0.feedForward.neurons }
    cache = KeyValueCache(transformer, capacities: capacities)
    rotaryTables = transformer.rotaryTables(length: longest)
    hidden = FloatBuffer(count: N * C)
    normed = FloatBuffer(count: N * C)
    unnormed = FloatBuffer(count: transformer.hasPostNorms ? N * C : 0)
    projected = FloatBuffer(count: N * transformer.widest { $0.attention.width })
    attended = FloatBuffer(count: N * transformer.widest { $0.attention.form.shape.queryWidth })
    gate = FloatBuffer(count: N * F)
    up = FloatBuffer(count: N * F)
    logits = FloatBuffer(count: group * transformer.shape.vocabularySize)
    scores = FloatBuffer(count: compute.attentionScratch(keys: longest))
  }

  /// Bytes that a pass takes at the most; what a checked model and checked lengths allow fits an Int.
  package static func bytes(_ transformer: Transformer, capacities: [Int], compute: Compute) -> Int {
    let longest = capacities.max() ?? 1, group = min(capacities.count, Compute.fewRows)
    let rows = max(min(longest, longestPiece), group)
    return KeyValueCache.bytes(transformer, positions: capacities.reduce(0, +))
      + rows * transformer.activationBytesPerToken
      + 4 * (group * transformer.shape.vocabularySize + compute.attentionScratch(keys: longest))
      + 4 * transformer.largestMatrix
  }

  /// Feeds the first tokens of a sequence.
  /// - Parameter progress: called after each piece with how many tokens are done.
  /// - Returns: the logits of what comes after them, V floats that stay until the next call.
  /// - Throws: `Cancelled`; the sequence is then of no use.
  package func prefill(
    _ tokens: [Int32], sequence: Int, cancellation: Cancellation, progress: (Int) -> Void = { _ in }
  ) throws(Cancelled) -> UnsafePointer<Float> {
    var done = 0
    while done < tokens.count {
      let rows = min(Self.longestPiece, tokens.count - done)
      let run = PositionRun(row: 0, rows: rows, position: cache.lengths[sequence])
      try advance(Array(tokens[done..<done + rows]), [(sequence, run)], cancellation)
      done += rows
      progress(done)
      if done == tokens.count { return try head(firstRow: rows - 1, rows: 1, cancellation) }
    }
    preconditionFailure("a prompt of no tokens, which the caller refuses")
  }

  /// Feeds one token to each of some sequences.
  /// - Parameters:
  ///   - live: at least one; sequences that have room, each once.
  ///   - use: given the place in `live` and the logits of what comes next, V floats that stay until it returns. Called
  ///     in the order of `live`.
  /// - Throws: `Cancelled`, or what `use` throws.
  package func step(
    _ live: [(sequence: Int, token: Int32)], cancellation: Cancellation,
    use: (_ place: Int, _ logits: UnsafePointer<Float>) throws -> Void
  ) throws {
    for first in stride(from: 0, to: live.count, by: Compute.fewRows) {
      let group = live[first..<min(live.count, first + Compute.fewRows)]
      let runs = group.enumerated().map { row, entry in
        (entry.sequence, PositionRun(row: row, rows: 1, position: cache.lengths[entry.sequence]))
      }
      try advance(group.map(\.token), runs, cancellation)
      let logits = try head(firstRow: 0, rows: group.count, cancellation)
      for row in 0..<group.count { try use(first + row, logits + row * transformer.shape.vocabularySize) }
    }
  }

  /// Takes rows through all blocks, into `hidden` and the cache.
  private func advance(
    _ tokens: [Int32], _ sequences: [(sequence: Int, run: PositionRun)], _ cancellation: Cancellation
  ) throws(Cancelled) {
    let runs = sequences.map(\.run)
    transformer.embed(tokens, runs: runs, into: hidden.pointer, weights: weights, compute: compute)
    let forward = BlockForward(
      transformer: transformer, compute: compute, weights: weights, precision: precision, rotaryTables: rotaryTables,
      linearScratch: linearScratch, cancellation: cancellation)
    let activations = BlockActivations(
      input: hidden.pointer, middle: hidden.pointer, output: hidden.pointer, projected: projected.pointer,
      rotated: projected.pointer, attended: attended.pointer, attentionOut: unnormed.pointer,
      feedForwardOut: unnormed.pointer, gate: gate.pointer, up: up.pointer, active: gate.pointer,
      normed: normed.pointer)
    for layer in 0..<transformer.shape.layers {
      let form = transformer.blocks[layer].attention.form, width = transformer.blocks[layer].attention.width
      try forward(layer: layer, activations, runs: runs, rows: tokens.count) { () throws(Cancelled) in
        let spans = sequences.map { sequence, run in
          let queries = MatrixRows(projected.pointer + run.row * width, stride: width)
          let keysAndValues = MatrixRows(queries.pointer + form.shape.queryWidth, stride: width)
          cache.append(keysAndValues, count: run.rows, sequence: sequence, layer: layer)
          let out = attended.pointer + run.row * form.shape.queryWidth
          return AttentionSpan(
            MutableMatrixRows(out, stride: form.shape.queryWidth), queries: queries,
            keys: cache.keys(sequence: sequence, layer: layer), values: cache.values(sequence: sequence, layer: layer),
            rows: run.rows, first: run.position)
        }
        try compute.attentionForward(spans, form: form, scratch: scores, cancellation: cancellation)
      }
    }
    for (sequence, run) in sequences { cache.advance(sequence, by: run.rows) }
  }

  /// The logits of `rows` rows of `hidden`, at most `Compute.fewRows`.
  private func head(firstRow: Int, rows: Int, _ cancellation: Cancellation) throws(Cancelled) -> UnsafePointer<Float> {
    let C = transformer.shape.hiddenSize, V = transformer.shape.vocabularySize
    compute.normForward(
      MutableMatrixRows(normed.pointer, stride: C), MatrixRows(hidden.pointer + firstRow * C, stride: C),
      transformer.norm.weights(weights), rows: rows)
    try compute.linearForward(
      [LinearTask(MutableMatrixRows(logits.pointer, stride: V), weights: weights.tensor(transformer.head.weight))],
      MatrixRows(normed.pointer, stride: C), rows: rows, scratch: linearScratch, precision: precision,
      cancellation: cancellation)
    return UnsafePointer(logits.pointer)
  }
}
