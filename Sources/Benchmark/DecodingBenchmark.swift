// Generation in this process: how fast one sequence is decoded, against the speed at which its weights can be read.

import Tensors
import Transformers
import Workspace

/// Measures decoding after a prompt of random tokens.
/// - Parameters:
///   - memoryRate: bytes per second that the machine moves.
///   - seconds: how long to decode, about.
func decodingFigures(
  _ model: Transformer, weights: Revision, tokens: [Int32], memoryRate: Double, compute: Compute, seconds limit: Double
) throws -> [Figure] {
  let prompt = Array(tokens.prefix(min(32, model.shape.maximumLength / 2)))
  let cancellation = Cancellation(), clock = ContinuousClock()
  let steps = min(512, model.shape.maximumLength - prompt.count - 1)
  let pass = DecodingPass(model, weights: weights, capacities: [prompt.count + steps], compute: compute)
  _ = try pass.prefill(prompt, sequence: 0, cancellation: cancellation)
  let sampler = Sampler(SamplingOptions(), vocabularySize: model.shape.vocabularySize)
  var random = RandomStream(seed: 0, stream: 0), token = prompt[0], each: [Double] = []
  while each.count < steps, each.reduce(0, +) < limit {
    let duration = try clock.measure {
      try pass.step([(0, token)], cancellation: cancellation) { _, logits in
        token = try sampler.choose(logits, position: 0, random: &random).token
      }
    }
    each.append(duration / .seconds(1))
  }
  let perToken = median(each)
  // A token reads every matrix once, and of embeddings that are not the head's as well next to nothing.
  let read = model.bytesPerToken(weights)
  return [
    Figure(
      "decodingTokensPerSecond", "decoding, one sequence", 1 / perToken, "tokens/s",
      note: "greedy, median of \(each.count) after \(prompt.count)"),
    Figure(
      "decodingShareOfMemory", "decoding, share of the memory's rate", 100 * Double(read) / perToken / memoryRate, "%",
      note: "\(read >> 20) MiB of weights a token"),
  ]
}
