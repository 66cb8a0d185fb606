// Groups of completions: each prompt continued several times, at random and repeatably.

package import Checkpoints
package import Tensors
package import Transformers
package import Workspace

package struct SampledCompletion: Sendable, Equatable {
  /// At least one; the one that ended it included.
  package let tokens: [Int32]
  /// Without special tokens and the one that ended it.
  package let text: String
  /// Whether a token ended it; else it was cut off.
  package let hasEnded: Bool
  /// Of each token under the distribution that it was drawn from.
  package let logProbabilities: [Double]

  package init(tokens: [Int32], text: String, hasEnded: Bool, logProbabilities: [Double]) {
    self.tokens = tokens
    self.text = text
    self.hasEnded = hasEnded
    self.logProbabilities = logProbabilities
  }
}

/// A prompt and what was made of it.
package struct SampledGroup: Sendable, Equatable {
  package let example: Example
  package let completions: [SampledCompletion]

  package init(example: Example, completions: [SampledCompletion]) {
    self.example = example
    self.completions = completions
  }
}

/// Draws groups. Member m of prompt p of step s draws from a stream of random numbers that (seed, s, p, m) name: what it
/// says depends on nothing else but the weights.
package struct GroupSampler: Sendable {
  package let members: Int
  package let maximumTokens: Int
  package let temperature: Double
  package let seed: UInt64
  /// Tokens that end a completion.
  package let endTokens: [Int32]

  /// Completions that are decoded together at most.
  private static let together = 64

  /// - Throws: `PolicyError.optionsInvalid`.
  package init(
    members: Int, maximumTokens: Int, temperature: Double = 1, seed: UInt64, endTokens: [Int32]
  ) throws(PolicyError) {
    guard (1...4096).contains(members), (1...(1 << 20)).contains(maximumTokens) else {
      throw .optionsInvalid(
        expected: "1 to 4096 completions of 1 to \(1 << 20) tokens, not \(members) of \(maximumTokens)")
    }
    guard temperature > 0, temperature.isFinite else {
      throw .optionsInvalid(expected: "a temperature above 0, not \(temperature)")
    }
    self.members = members
    self.maximumTokens = maximumTokens
    self.temperature = temperature
    self.seed = seed
    self.endTokens = endTokens
  }

  /// Continues every prompt `members` times.
  /// - Throws: `GenerationError`, `TransformerError`, `CompressionError` without memory, `CheckpointError`, `Cancelled`.
  package func sample(
    _ prompts: [Example], step: Int, transformer: Transformer, weights: any WeightSource, tokenizer: Tokenizer,
    compute: Compute, monitor: Monitor
  ) throws -> [SampledGroup] {
    var groups: [SampledGroup] = []
    let size = max(1, Self.together / members)
    for first in stride(from: 0, to: prompts.count, by: size) {
      let last = min(prompts.count, first + size)
      let part = monitor.part(Double(first) / Double(prompts.count)...Double(last) / Double(prompts.count))
      let each = prompts[first..<last].flatMap { prompt in [[Int32]](repeating: prompt.promptTokens, count: members) }
      var options = GenerationOptions(
        maximumTokens: maximumTokens, sampling: SamplingOptions(temperature: temperature),
        seed: Self.seed(seed, step: step), endTokens: endTokens, wantsLogProbabilities: true)
      options.firstStream = UInt64(first * members)
      try requireMemory(
        transformer.generationBytes(each, options, compute: compute), for: "Drawing \(each.count) completions")
      var drafts = [Draft](repeating: Draft(), count: each.count)
      try transformer.generate(each, weights: weights, options: options, compute: compute, monitor: part) { token in
        drafts[token.prompt].append(token)
      }
      for (index, example) in prompts[first..<last].enumerated() {
        groups.append(
          SampledGroup(
            example: example,
            completions: try drafts[index * members..<(index + 1) * members].map { try $0.completion(tokenizer) }))
      }
    }
    return groups
  }

  /// A seed of its own for every step.
  private static func seed(_ seed: UInt64, step: Int) -> UInt64 {
    var mixer = SplitMix64(seed: seed)
    let base = mixer.next()
    var other = SplitMix64(seed: base ^ UInt64(truncatingIfNeeded: step))
    return other.next()
  }
}

/// A completion while it grows.
private struct Draft {
  private var tokens: [Int32] = []
  private var logProbabilities: [Double] = []
  private var hasEnded = false

  mutating func append(_ token: GeneratedToken) {
    tokens.append(token.token)
    logProbabilities.append(token.logProbability?.sampling ?? 0)
    hasEnded = token.finish == .endToken
  }

  func completion(_ tokenizer: Tokenizer) throws(CheckpointError) -> SampledCompletion {
    // Some models have more ids than their tokenizer; those stand for no text.
    let spoken = (hasEnded ? tokens.dropLast() : tokens[...]).filter { tokenizer.token($0) != nil }
    return SampledCompletion(
      tokens: tokens, text: try tokenizer.decode(Array(spoken), skipSpecialTokens: true), hasEnded: hasEnded,
      logProbabilities: logProbabilities)
  }
}
