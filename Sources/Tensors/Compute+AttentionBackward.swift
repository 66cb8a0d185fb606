// Gradients of causal self-attention. Probabilities are not kept from the forward pass but computed again, a block of
// queries at a time, so that memory grows with the length of a sequence and not with its square.

import CKernels

/// A span of whole sequences with the gradients that go in and out.
package struct AttentionGradientSpan {
  let queries, keys, values: MatrixRows
  let dout: MatrixRows
  let dqueries, dkeys, dvalues: MutableMatrixRows
  let rows: Int

  /// - Parameters:
  ///   - queries, dqueries, dout: `[rows, H * D]`.
  ///   - keys, values: `[rows, KV * D]`.
  ///   - dkeys, dvalues: `[rows, H * D]`: what each query head contributes, not yet summed over the heads that share
  ///     a key/value head.
  package init(
    queries: MatrixRows, keys: MatrixRows, values: MatrixRows, dout: MatrixRows, dqueries: MutableMatrixRows,
    dkeys: MutableMatrixRows, dvalues: MutableMatrixRows, rows: Int
  ) {
    self.queries = queries
    self.keys = keys
    self.values = values
    self.dout = dout
    self.dqueries = dqueries
    self.dkeys = dkeys
    self.dvalues = dvalues
    self.rows = rows
  }
}

extension Compute {
  /// Floats of scratch that `attentionBackward` needs for spans of at most `rows` rows.
  package func attentionBackwardScratch(rows: Int) -> Int { 2 * attentionScratch(keys: rows) }

  /// The gradients of `attentionForward` over whole sequences. With P the probabilities of a head:
  /// dV = Pᵀ·dO, dP = dO·Vᵀ, dS = scale * P ∘ (dP − rowsum(P ∘ dP)), dQ = dS·K, dK = dSᵀ·Q.
  /// - Throws: `Cancelled`; the gradients are then partly written.
  package func attentionBackward(
    _ spans: [AttentionGradientSpan], form: AttentionForm, scratch: FloatBuffer, cancellation: Cancellation
  ) throws(Cancelled) {
    let longest = spans.reduce(0) { max($0, $1.rows) }
    pool.parallelFor(spans.count * form.shape.heads, cancellation: cancellation) { index, worker in
      let (number, head) = index.quotientAndRemainder(dividingBy: form.shape.heads)
      let block = 2 * Self.queryBlock * longest
      attendBackward(spans[number], form, head: head, scratch: scratch.pointer + worker * block, cancellation)
    }
    try cancellation.check()
  }

  /// One head of one sequence.
  private func attendBackward(
    _ span: AttentionGradientSpan, _ form: AttentionForm, head: Int, scratch: UnsafeMutablePointer<Float>,
    _ cancellation: Cancellation
  ) {
    let D = form.shape.headSize, kvHead = head / (form.shape.heads / form.shape.kvHeads)
    func part(_ rows: MatrixRows, _ head: Int, from row: Int) -> UnsafePointer<Float> {
      rows.pointer + row * rows.stride + head * D
    }
    func own(_ rows: MutableMatrixRows, from row: Int) -> UnsafeMutablePointer<Float> {
      rows.pointer + row * rows.stride + head * D
    }
    for t in 0..<span.rows {
      own(span.dkeys, from: t).update(repeating: 0, count: D)
      own(span.dvalues, from: t).update(repeating: 0, count: D)
    }
    for start in stride(from: 0, to: span.rows, by: Self.queryBlock) where !cancellation.isCancelled {
      let rows = min(Self.queryBlock, span.rows - start)
      let firstKey = form.firstKey(ofQueryAt: start), seen = start + rows - firstKey
      let probabilities = scratch, dscores = scratch + rows * seen
      let q = part(span.queries, head, from: start), dout = part(span.dout, head, from: start)
      let k = part(span.keys, kvHead, from: firstKey), v = part(span.values, kvHead, from: firstKey)
      blas.product(
        m: rows, n: seen, k: D, q, lda: span.queries.stride, k, ldb: span.keys.stride, transposingB: true,
        probabilities, ldc: seen)
      ck_causal_softmax_forward(probabilities, rows, seen, start - firstKey, form.window, seen, form.scale)
      blas.product(
        m: seen, n: D, k: rows, probabilities, lda: seen, transposingA: true, dout, ldb: span.dout.stride, beta: 1,
        own(span.dvalues, from: firstKey), ldc: span.dvalues.stride)
      blas.product(
        m: rows, n: seen, k: D, dout, lda: span.dout.stride, v, ldb: span.values.stride, transposingB: true,
        dscores, ldc: seen)
      ck_softmax_backward(dscores, probabilities, rows, seen, seen, form.scale)
      blas.product(
        m: rows, n: D, k: seen, dscores, lda: seen, k, ldb: span.keys.stride, own(span.dqueries, from: start),
        ldc: span.dqueries.stride)
      blas.product(
        m: seen, n: D, k: rows, dscores, lda: seen, transposingA: true, q, ldb: span.queries.stride, beta: 1,
        own(span.dkeys, from: firstKey), ldc: span.dkeys.stride)
    }
  }

  /// out[n, g, :] = the sum of `x[n, h, :]` over the heads h of group g: what the query heads that share a key/value head
  /// contribute to its gradient. In head order, so the sum does not depend on the threads.
  package func sumOverGroups(
    _ out: MutableMatrixRows, _ x: MatrixRows, rows N: Int, shape: AttentionShape
  ) {
    let D = shape.headSize, group = shape.heads / shape.kvHeads
    pool.parallelRanges(N, grain: 32) { range, _ in
      for n in range {
        for kvHead in 0..<shape.kvHeads {
          let target = out.pointer + n * out.stride + kvHead * D
          let source = x.pointer + n * x.stride + kvHead * group * D
          target.update(from: source, count: D)
          for h in stride(from: 1, to: group, by: 1) { ck_axpy(target, 1, source + h * D, D) }
        }
      }
    }
  }
}
