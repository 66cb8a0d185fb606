// A forward pass with losses, in fp32 and in bf16, against what matrix products reach at the same moment.

import Compression
import Tensors
import Transformers
import Workspace

func forwardFigures(_ subject: Subject) throws -> [Figure] {
  try forwardFigures(subject, .fp32, "fp32", "forward") + forwardFigures(subject, .bf16, "bf16", "forwardBF16")
}

private func forwardFigures(
  _ subject: Subject, _ precision: Precision, _ name: String, _ key: String
) throws -> [Figure] {
  let model = subject.model, batch = subject.batch, compute = subject.compute, weights = subject.state.revision
  let pass = model.makeForwardPass(batch: batch, compute: compute, precision: precision)
  let hidden = FloatBuffer(count: batch.tokens * model.shape.hiddenSize)
  let cancellation = Cancellation()
  let measured = try repeated(for: subject.seconds, ceiling: { compute.productRate(precision) }) {
    pass.embed(subject.tokens, into: hidden.pointer, batch: batch, weights: weights)
    for layer in 0..<model.shape.layers {
      try pass.layer(layer, hidden: hidden.pointer, batch: batch, weights: weights, cancellation: cancellation)
    }
    _ = try pass.nextTokenLosses(
      hidden: hidden.pointer, tokens: subject.tokens, batch: batch, weights: weights, cancellation: cancellation)
  }
  let rate = model.forwardOperations(batch: batch) / measured.seconds
  return [
    Figure(
      key + "TokensPerSecond", "forward \(name), \(batch.sequences) x \(batch.length)",
      Double(batch.tokens) / measured.seconds, "tokens/s", note: "with losses, median of \(measured.count)"),
    Figure(key + "Gigaflops", "", rate / 1e9, "GFLOP/s"),
    Figure(
      key + "ShareOfMatrixProduct", "", 100 * rate / measured.ceiling, "%",
      note: "of the matrix product in \(name) beside it"),
  ]
}
