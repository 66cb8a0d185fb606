// Text that the student itself writes, to be taught on: what it will meet when it is used, its own mistakes included.
// (Agarwal et al. 2024, "On-policy distillation of language models", arXiv 2306.13649)

import Checkpoints
import Tensors
import Transformers
import Workspace

/// How a part of the batches is made of the student's own continuations.
package struct OnPolicy: Sendable, Equatable {
  /// The share of batches, 0...1. (lambda of generalised knowledge distillation)
  package var fraction: Double
  /// Tokens of each of the dataset's sequences that are continued; of datasets with prompts the prompt.
  package var promptTokens: Int
  package var maximumTokens: Int
  package var temperature: Double

  package init(fraction: Double, promptTokens: Int = 32, maximumTokens: Int = 128, temperature: Double = 1) {
    self.fraction = fraction
    self.promptTokens = promptTokens
    self.maximumTokens = maximumTokens
    self.temperature = temperature
  }
}

/// Writes batches. What it writes depends on nothing but the weights and the seed.
struct StudentWriter {
  let onPolicy: OnPolicy
  let tokenizer: Tokenizer
  let transformer: Transformer
  let compute: Compute

  /// Continuations of the beginnings of some sequences, of which only what the student wrote counts.
  /// - Throws: as `GroupSampler.sample`.
  func batch(
    continuing numbers: [Int], of dataset: Dataset, weights: any WeightSource, seed: UInt64, monitor: Monitor
  ) throws -> TrainingBatch {
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
    let texts = groups.map { ($0.example.promptTokens, $0.completions[0].tokens) }
    return TrainingBatch(
      lengths: texts.map { $0.count + $1.count - 1 }, tokens: texts.flatMap { $0 + $1.dropLast() },
      targets: texts.flatMap { prompt, completion in prompt.dropLast().map { _ in -1 } + completion })
  }
}
