// Causal self-attention, a block of queries at a time: forward, over whole sequences or over cached keys and values.
// Its gradients are in Compute+AttentionBackward.swift.

import CKernels

/// The sizes of a grouped-query attention.
package struct AttentionShape: Sendable, Equatable {
  /// Query heads, H.
  package let heads: Int
  /// Key/value heads, KV; divides `heads`. Query head h reads key/value head h / (H / KV). (Ainslie et al. 2023)
  package let kvHeads: Int
  /// Channels of one head, D.
  package let headSize: Int

  package init(heads: Int, kvHeads: Int, headSize: Int) {
    self.heads = heads
    self.kvHeads = kvHeads
    self.headSize = headSize
  }

  package var queryWidth: Int { heads * headSize }
  package var kvWidth: Int { kvHeads * headSize }
}

/// An attention's arithmetic besides its sizes.
package struct AttentionForm: Sendable, Equatable {
  package let shape: AttentionShape
  /// What scores are multiplied with before the softmax; 1 / sqrt(D) as a rule.
  package let scale: Float
  /// A position sees itself and the `window - 1` before it; 0 for all before it. (Beltagy et al. 2020)
  package let window: Int

  package init(shape: AttentionShape, scale: Float? = nil, window: Int = 0) {
    self.shape = shape
    self.scale = scale ?? 1 / Float(shape.headSize).squareRoot()
    self.window = window
  }

  /// The first key that the query at `position` sees.
  func firstKey(ofQueryAt position: Int) -> Int { window > 0 ? max(0, position - window + 1) : 0 }
}

/// Consecutive queries of one sequence, and the keys and values of that sequence from position 0 on.
package struct AttentionSpan {
  let out: MutableMatrixRows
  let queries, keys, values: MatrixRows
  let rows: Int
  let first: Int

  /// - Parameters:
  ///   - out, queries: `[rows, H * D]`.
  ///   - keys, values: `[first + rows, KV * D]`.
  ///   - first: position of the first query.
  package init(
    _ out: MutableMatrixRows, queries: MatrixRows, keys: MatrixRows, values: MatrixRows, rows: Int, first: Int = 0
  ) {
    self.out = out
    self.queries = queries
    self.keys = keys
    self.values = values
    self.rows = rows
    self.first = first
  }
}

extension Compute {
  /// Queries that one piece of work handles: its scores stay in the processor's second-level cache.
  static let queryBlock = 128

  /// Pairs of query and key channels that one thread handles in some microseconds.
  private static let littleAttention = 1 << 16

  /// Floats of scratch that `attentionForward` needs for spans whose keys number at most `keys`.
  package func attentionScratch(keys: Int) -> Int { pool.threads * Self.queryBlock * keys }

  /// out[t, h, :] = softmax(scale * q·kᵀ over the positions that t sees) · v, for every span.
  /// (Vaswani et al. 2017, eq. 1)
  /// - Parameter scratch: `attentionScratch(keys:)` floats.
  /// - Throws: `Cancelled`; the outputs are then partly written.
  package func attentionForward(
    _ spans: [AttentionSpan], form: AttentionForm, scratch: FloatBuffer, cancellation: Cancellation
  ) throws(Cancelled) {
    if spans.allSatisfy({ $0.rows == 1 }) {
      return try decodingAttention(spans, form: form, scratch: scratch, cancellation: cancellation)
    }
    let keys = spans.reduce(0) { max($0, $1.first + $1.rows) }
    let pieces = AttentionPieces(rows: spans.map(\.rows), heads: form.shape.heads)
    pool.parallelFor(pieces.count, cancellation: cancellation) { index, worker in
      let (number, head, start) = pieces[index]
      let scores = scratch.pointer + worker * Self.queryBlock * keys
      attend(spans[number], form, head: head, start: start, scores: scores)
    }
    try cancellation.check()
  }

  /// One head of a block of queries from row `start` of the span on.
  private func attend(
    _ span: AttentionSpan, _ form: AttentionForm, head: Int, start: Int, scores: UnsafeMutablePointer<Float>
  ) {
    let D = form.shape.headSize, kvHead = head / (form.shape.heads / form.shape.kvHeads)
    let rows = min(Self.queryBlock, span.rows - start), position = span.first + start
    let firstKey = form.firstKey(ofQueryAt: position), seen = position + rows - firstKey
    let queries = span.queries.pointer + start * span.queries.stride + head * D
    let keys = span.keys.pointer + firstKey * span.keys.stride + kvHead * D
    let values = span.values.pointer + firstKey * span.values.stride + kvHead * D
    let out = span.out.pointer + start * span.out.stride + head * D
    blas.product(
      m: rows, n: seen, k: D, queries, lda: span.queries.stride, keys, ldb: span.keys.stride, transposingB: true,
      scores, ldc: seen)
    ck_causal_softmax_forward(scores, rows, seen, position - firstKey, form.window, seen, form.scale)
    blas.product(
      m: rows, n: D, k: seen, scores, lda: seen, values, ldb: span.values.stride, out, ldc: span.out.stride)
  }
}

// MARK: One query a sequence

extension Compute {
  /// The same for spans of one query each. The query heads that share a key/value head go together, so that its keys
  /// are read once.
  private func decodingAttention(
    _ spans: [AttentionSpan], form: AttentionForm, scratch: FloatBuffer, cancellation: Cancellation
  ) throws(Cancelled) {
    let shape = form.shape, group = shape.heads / shape.kvHeads, D = shape.headSize
    // A few keys are gathered sooner than other threads are asked to help.
    let work = spans.reduce(0) { $0 + $1.first + 1 } * shape.queryWidth
    let threads = work < Self.littleAttention ? 1 : pool.threads
    let keys = spans.reduce(0) { max($0, $1.first + 1) }
    pool.parallelFor(spans.count * shape.kvHeads, atMost: threads, cancellation: cancellation) { index, worker in
      let span = spans[index / shape.kvHeads], kvHead = index % shape.kvHeads
      let firstKey = form.firstKey(ofQueryAt: span.first), seen = span.first + 1 - firstKey
      let keyRows = span.keys.pointer + firstKey * span.keys.stride + kvHead * D
      let valueRows = span.values.pointer + firstKey * span.values.stride + kvHead * D
      // As many heads at a time as there is scratch for.
      for first in stride(from: 0, to: group, by: Self.queryBlock) {
        let heads = min(Self.queryBlock, group - first), head = kvHead * group + first
        let scores = scratch.pointer + worker * Self.queryBlock * keys
        ck_dot_rows_f32(
          scores, seen, keyRows, span.keys.stride, seen, D, span.queries.pointer + head * D, D, heads)
        for h in 0..<heads {
          let row = scores + h * seen
          ck_causal_softmax_forward(row, 1, seen, seen - 1, 0, seen, form.scale)
          ck_weighted_rows(span.out.pointer + (head + h) * D, row, valueRows, span.values.stride, seen, D)
        }
      }
    }
    try cancellation.check()
  }
}

/// The pieces of an attention's work: every block of queries of every head of every span.
struct AttentionPieces {
  private let heads: Int
  private let blocks: [Int]
  let count: Int

  init(rows: [Int], heads: Int) {
    self.heads = heads
    blocks = rows.map { ($0 + Compute.queryBlock - 1) / Compute.queryBlock }
    count = blocks.reduce(0, +) * heads
  }

  /// The span, the head, and the first row of the span that piece `index` is about.
  subscript(index: Int) -> (span: Int, head: Int, start: Int) {
    var piece = index, span = 0
    while piece >= blocks[span] * heads {
      piece -= blocks[span] * heads
      span += 1
    }
    let (head, block) = piece.quotientAndRemainder(dividingBy: blocks[span])
    return (span, head, block * Compute.queryBlock)
  }
}
