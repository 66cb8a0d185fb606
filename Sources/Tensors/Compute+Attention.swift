// Causal self-attention over whole sequences, a block of queries at a time.

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
}

extension Compute {
  /// Queries that one piece of work handles: its scores stay in the processor's second-level cache.
  private static let queryBlock = 128

  /// Floats of scratch that `attentionForward` needs for sequences of `length` tokens.
  package func attentionScratch(length: Int) -> Int { pool.threads * Self.queryBlock * length }

  /// out[s, t, h, :] = softmax(q·kᵀ / sqrt(D), over positions 0...t of sequence s) · v. (Vaswani et al. 2017, eq. 1)
  ///
  /// - Parameters:
  ///   - out, q: `[sequences * length, H * D]`; k, v: `[sequences * length, KV * D]`.
  ///   - scratch: `attentionScratch(length:)` floats.
  /// - Throws: `Cancelled`; `out` is then partly written.
  package func attentionForward(
    _ out: UnsafeMutablePointer<Float>, _ q: UnsafePointer<Float>, _ k: UnsafePointer<Float>,
    _ v: UnsafePointer<Float>, shape: AttentionShape, sequences: Int, length: Int, scratch: FloatBuffer,
    cancellation: Cancellation
  ) throws(Cancelled) {
    let D = shape.headSize, group = shape.heads / shape.kvHeads
    let queryStride = shape.heads * D, kvStride = shape.kvHeads * D
    let blocks = (length + Self.queryBlock - 1) / Self.queryBlock
    let scale = 1 / Float(D).squareRoot()
    pool.parallelFor(sequences * shape.heads * blocks, cancellation: cancellation) { piece, worker in
      let (sequenceHead, block) = piece.quotientAndRemainder(dividingBy: blocks)
      let (sequence, head) = sequenceHead.quotientAndRemainder(dividingBy: shape.heads)
      let first = block * Self.queryBlock
      let rows = min(Self.queryBlock, length - first), seen = first + rows
      let token = sequence * length
      let queries = q + (token + first) * queryStride + head * D
      let keys = k + token * kvStride + head / group * D, values = v + token * kvStride + head / group * D
      let scores = scratch.pointer + worker * Self.queryBlock * length  // [rows, seen]
      blas.multiplyByTransposed(
        m: rows, n: seen, k: D, queries, lda: queryStride, keys, ldb: kvStride, scores, ldc: seen)
      ck_causal_softmax_forward(scores, rows, seen, first, 0, seen, scale)
      blas.multiply(
        m: rows, n: D, k: seen, scores, lda: seen, values, ldb: kvStride,
        out + (token + first) * queryStride + head * D, ldc: queryStride)
    }
    try cancellation.check()
  }
}
