// Generation in this process: how fast one sequence is decoded, against the speed at which its weights can be read.

import Compression
import Tensors
import Transformers
import Workspace

/// Decodes greedily after a short prompt. The memory's rate is measured before and behind it.
func decodingFigures(_ subject: Subject) throws -> [Figure] {
  let model = subject.model, weights = subject.state.revision, compute = subject.compute, limit = subject.seconds
  let prompt = Array(subject.tokens.prefix(min(32, model.shape.maximumLength / 2)))
  let cancellation = Cancellation(), clock = ContinuousClock()
  let steps = min(512, model.shape.maximumLength - prompt.count - 1)
  let pass = DecodingPass(model, weights: weights, capacities: [prompt.count + steps], compute: compute)
  _ = try pass.prefill(prompt, sequence: 0, cancellation: cancellation)
  let sampler = Sampler(SamplingOptions(), vocabularySize: model.shape.vocabularySize)
  var random = RandomStream(seed: 0, stream: 0), token = prompt[0], each: [Double] = []
  let rateBefore = compute.memoryReadRate()
  while each.count < steps, each.reduce(0, +) < limit {
    let duration = try clock.measure {
      try pass.step([(0, token)], cancellation: cancellation) { _, logits in
        token = try sampler.choose(logits, position: 0, random: &random).token
      }
    }
    each.append(duration / .seconds(1))
  }
  let memoryRate = (rateBefore + compute.memoryReadRate()) / 2
  let perToken = median(each)
  // A token reads every matrix once, and of embeddings that are not the head's as well next to nothing.
  let read = model.bytesPerToken(weights)
  return [
    Figure(
      "decodingTokensPerSecond", "decoding, one sequence", 1 / perToken, "tokens/s",
      note: "greedy, median of \(each.count) after \(prompt.count)"),
    Figure(
      "decodingShareOfMemory", "decoding, share of the memory's rate", 100 * Double(read) / perToken / memoryRate, "%",
      note: "\(read >> 20) MiB of weights a token, against reading"),
  ]
}
