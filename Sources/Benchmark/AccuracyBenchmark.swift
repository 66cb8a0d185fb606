// How far bf16 products are from fp32 ones: the divergence of what the model predicts, and the losses.

import Compression
import Glibc
import Tensors
import Transformers
import Workspace

/// Both precisions over the same tokens, text if the model has a tokenizer for it.
func accuracyFigures(_ subject: Subject) throws -> [Figure] {
  let exact = try predict(subject, .fp32), rounded = try predict(subject, .bf16)
  let N = subject.batch.tokens, V = subject.model.shape.vocabularySize
  let cancellation = Cancellation()
  var divergence = 0.0
  for first in stride(from: 0, to: N, by: 64) {
    let rows = first..<min(N, first + 64)
    let p = try exact.logits.logits(ofRows: rows, cancellation: cancellation)
    let q = try rounded.logits.logits(ofRows: rows, cancellation: cancellation)
    divergence += try subject.compute.divergences(
      q, from: p, targets: Array(repeating: 0, count: rows.count), vocabulary: V, cancellation: cancellation
    ).reduce(0) { $0 + ($1?.divergence ?? 0) }
  }
  return [
    Figure(
      "bf16Divergence", "bf16 against fp32, mean KL", divergence / Double(N), "nats",
      note: "over \(N) positions of text"),
    Figure(
      "bf16PerplexityRatio", "bf16 against fp32, perplexity", exp(rounded.loss - exact.loss), "times",
      note: "\(fixed(exp(exact.loss))) in fp32"),
  ]
}

private func predict(_ subject: Subject, _ precision: Precision) throws -> (logits: TeacherLogits, loss: Double) {
  let model = subject.model, batch = subject.batch, weights = subject.state.revision
  let pass = model.makeForwardPass(batch: batch, compute: subject.compute, precision: precision)
  let hidden = FloatBuffer(count: batch.tokens * model.shape.hiddenSize), cancellation = Cancellation()
  pass.embed(subject.tokens, into: hidden.pointer, batch: batch, weights: weights)
  for layer in 0..<model.shape.layers {
    try pass.layer(layer, hidden: hidden.pointer, batch: batch, weights: weights, cancellation: cancellation)
  }
  let losses = try pass.nextTokenLosses(
    hidden: hidden.pointer, tokens: subject.tokens, batch: batch, weights: weights, cancellation: cancellation)
  let logits = TeacherLogits(
    model, hidden: hidden.pointer, rows: batch.tokens, weights: weights, compute: subject.compute,
    precision: precision)
  return (logits, losses.reduce(0, +) / Double(losses.count))
}

private func fixed(_ value: Double) -> String { String((value * 1000).rounded() / 1000) }
