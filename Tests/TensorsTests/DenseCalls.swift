// The operations as most tests call them: dense matrices, whole sequences, one weight matrix.

import TestSupport
import Tensors
import Testing

extension Compute {
  func crossEntropyForward(
    hidden: UnsafePointer<Float>, head: MaskedTensor, targets: [Int32], cancellation: Cancellation
  ) throws(Cancelled) -> [Double] {
    try crossEntropyForward(
      hidden: hidden, head: head, targets: targets, scratch: LinearScratch(), cancellation: cancellation)
  }

  func linearForward(
    _ out: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ weights: MaskedTensor, rows N: Int,
    accumulate: Bool = false, cancellation: Cancellation = Cancellation()
  ) throws(Cancelled) {
    try linearForward(
      [LinearTask(MutableMatrixRows(out, stride: weights.rows), weights: weights)],
      MatrixRows(x, stride: weights.columns), rows: N, scratch: LinearScratch(), accumulate: accumulate,
      cancellation: cancellation)
  }

  func attentionForward(
    _ out: UnsafeMutablePointer<Float>, _ q: UnsafePointer<Float>, _ k: UnsafePointer<Float>,
    _ v: UnsafePointer<Float>, shape: AttentionShape, sequences: Int, length: Int, scratch: FloatBuffer,
    cancellation: Cancellation = Cancellation()
  ) throws(Cancelled) {
    let Q = shape.queryWidth, KV = shape.kvWidth
    let spans = (0..<sequences).map { sequence in
      let row = sequence * length
      return AttentionSpan(
        MutableMatrixRows(out + row * Q, stride: Q), queries: MatrixRows(q + row * Q, stride: Q),
        keys: MatrixRows(k + row * KV, stride: KV), values: MatrixRows(v + row * KV, stride: KV), rows: length)
    }
    try attentionForward(spans, form: AttentionForm(shape: shape), scratch: scratch, cancellation: cancellation)
  }

  func rmsNormForward(
    _ out: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, weight: [Float], rows N: Int, epsilon: Float
  ) throws {
    let C = weight.count
    let view = try #require(TensorView(guarding: weight, shape: [C]))
    let norm = NormWeights(.rms(offset: 0), epsilon: epsilon, channels: C, weight: MaskedTensor(weights: view).vector)
    normForward(MutableMatrixRows(out, stride: C), MatrixRows(x, stride: C), norm, rows: N)
  }

  func swiGLUForward(_ gate: UnsafeMutablePointer<Float>, _ up: UnsafePointer<Float>, count: Int) {
    activationForward(gate, gate: UnsafePointer(gate), up: up, count: count, .silu)
  }

  func ropeForward(_ x: UnsafeMutablePointer<Float>, table: RotaryTable, sequences: Int, length: Int, heads: Int) {
    rope(
      MutableMatrixRows(x, stride: heads * table.headSize), table: table,
      runs: (0..<sequences).map { PositionRun(row: $0 * length, rows: length, position: 0) }, heads: heads)
  }
}
