// Text that the student itself writes, to be taught on: what it will meet when it is used, its own mistakes included.
// (Agarwal et al. 2024, "On-policy distillation of language models", arXiv 2306.13649)

import Checkpoints
import Tensors
import Transformers
import Workspace

/// How a part of the batches is made of the student's own continuations.
package struct OnPolicy: Sendable, Equatable {
  /// The share of batches, 0...1 (lambda of generalised knowledge distillation); where it adapts, at the beginning.
  package var fraction: Double
  /// Tokens of each of the dataset's sequences that are continued; of datasets with prompts the prompt.
  package var promptTokens: Int
  package var maximumTokens: Int
  package var temperature: Double
  /// Nil: the share stays.
  package var adaptation: Adaptation?

  package init(
    fraction: Double, promptTokens: Int = 32, maximumTokens: Int = 128, temperature: Double = 1,
    adaptation: Adaptation? = nil
  ) {
    self.fraction = fraction
    self.promptTokens = promptTokens
    self.maximumTokens = maximumTokens
    self.temperature = temperature
    self.adaptation = adaptation
  }

  /// A share that rises when the student does worse on the validation text: a student that forgets needs more of its own
  /// text. What it writes is kept and taught again, so that less is to be written the nearer the end is.
  /// (Ko et al. 2024, "DistiLLM", arXiv 2402.03898, section 3.2 and algorithm 1)
  package struct Adaptation: Sendable, Equatable {
    /// What the share rises by, to 1 at most.
    package var rise: Double
    /// Nats by which the loss must have risen since the share last did, or since the first validation.
    package var tolerance: Double
    /// Texts that are kept; the oldest go first.
    package var memory: Int

    package init(rise: Double = 0.1, tolerance: Double = 0.1, memory: Int = 1000) {
      self.rise = rise
      self.tolerance = tolerance
      self.memory = memory
    }
  }
}

/// Writes batches. What it writes depends on nothing but the weights and the seed.
struct StudentWriter {
  let onPolicy: OnPolicy
  let tokenizer: Tokenizer
  let transformer: Transformer
  let compute: Compute

  /// Continuations of the beginnings of some sequences.
  /// - Throws: as `GroupSampler.sample`.
  func texts(
    continuing numbers: [Int], of dataset: Dataset, weights: any WeightSource, seed: UInt64, monitor: Monitor
  ) throws -> [WrittenText] {
    let prompts = numbers.map { number in
      dataset.examples.isEmpty
        ? Example(prompt: "", promptTokens: Array(dataset.tokens(ofSequence: number).prefix(onPolicy.promptTokens)))
        : dataset.examples[number % dataset.examples.count]
    }
    let sampler = try GroupSampler(
      members: 1, maximumTokens: onPolicy.maximumTokens, temperature: onPolicy.temperature, seed: seed,
      endTokens: tokenizer.endTokens)
    let groups = try sampler.sample(
      prompts, step: 0, transformer: transformer, weights: weights, tokenizer: tokenizer, compute: compute,
      monitor: monitor)
    return groups.map { WrittenText(prompt: $0.example.promptTokens, completion: $0.completions[0].tokens) }
  }
}
