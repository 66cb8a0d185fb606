// A student that learns from examples and from rewards, put together from the pieces that a run is made of.

import Checkpoints
import Compression
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

/// A reward that a test makes up.
struct MadeUpReward: Reward {
  let description: RewardDescription
  let value: @Sendable (SampledText) -> Double

  init(
    _ id: String = "made-up", needsTeacher: Bool = false, needsAnswer: Bool = false,
    value: @escaping @Sendable (SampledText) -> Double
  ) {
    description = RewardDescription(
      method: MethodDescription(id: id, version: "1", summary: ""), needsTeacher: needsTeacher,
      needsAnswer: needsAnswer)
    self.value = value
  }

  func judge(
    _ text: SampledText, parameters: [ParameterValue], monitor: Monitor, diagnostics: Diagnostics
  ) throws -> Double { value(text) }
}

extension WeightedReward {
  /// 1 for the answer.
  static let exact = WeightedReward(
    RewardRule(MadeUpReward("exact", needsAnswer: true) { $0.completion == $0.answer ? 1 : 0 }))
}

final class RewardedModel {
  let transformer: Transformer
  let tokenizer: Tokenizer
  private let trainer: Trainer
  private let tokens: Int
  private let compute: Compute
  private var steps = 0

  /// - Parameter tokens: of a batch at most.
  init(_ model: TestModel, tokens: Int = 4096) throws {
    compute = try Engine.compute
    transformer = model.transformer
    tokenizer = model.checkpoint.tokenizer
    trainer = Trainer(model.state, batch: Batch(lengths: [64, tokens - 64]), compute: compute)
    self.tokens = tokens
  }

  func prompts(_ examples: [TaskExample]) throws -> [Example] {
    try examples.map {
      Example(prompt: $0.prompt, promptTokens: try tokenizer.encode($0.prompt), answer: $0.answer)
    }
  }

  /// One step of cross-entropy on the answers and the token that ends them. Returns the mean loss.
  func imitate(_ examples: [TaskExample], learningRate: Double) throws -> Double {
    let texts = try examples.map { example in
      (try tokenizer.encode(example.prompt), try tokenizer.encode(example.answer) + tokenizer.endTokens.prefix(1))
    }
    let batch = TrainingBatch(
      lengths: texts.map { $0.0.count + $0.1.count - 1 }, tokens: texts.flatMap { $0 + $1.dropLast() },
      targets: texts.flatMap { prompt, answer in prompt.dropLast().map { _ in Int32(-1) } + answer })
    return try trainer.step(
      [batch], lesson: NextTokenLesson(), learningRate: learningRate, cancellation: Cancellation()
    ).loss
  }

  /// One step of policy optimisation, on completions that it draws itself.
  func explore(
    _ prompts: [Example], sampler: GroupSampler, rewards: [WeightedReward], learningRate: Double,
    normalisation: PolicyNormalisation = .dapo
  ) throws -> (reward: Double, metrics: PolicyMetrics, degenerate: Int) {
    let groups = try sampler.sample(
      prompts, step: steps, transformer: transformer, weights: trainer.parameters, tokenizer: tokenizer, compute: compute,
      monitor: Monitor())
    steps += 1
    let judged = try rewards.judge(groups, monitor: Monitor(), diagnostics: Diagnostics())
    let advantages = try Advantages(judged, weights: rewards.map(\.weight))
    let sequences = policySequences(
      groups, advantages: advantages, normalisation: normalisation, maximumTokens: sampler.maximumTokens)
    var options = PolicyOptions()
    options.temperature = sampler.temperature
    let lesson = PolicyLesson(sequences, options: options, tokens: tokens)
    _ = try trainer.step(
      lesson.batches, lesson: lesson, learningRate: learningRate, cancellation: Cancellation())
    let all = advantages.rewards.flatMap { $0 }
    return (all.reduce(0, +) / Double(all.count), lesson.metrics, advantages.degenerateGroups)
  }

  /// The mean reward of completions, without learning anything.
  func meanReward(_ prompts: [Example], sampler: GroupSampler, rewards: [WeightedReward]) throws -> Double {
    let groups = try sampler.sample(
      prompts, step: 1 << 20, transformer: transformer, weights: trainer.parameters, tokenizer: tokenizer, compute: compute,
      monitor: Monitor())
    let judged = try rewards.judge(groups, monitor: Monitor(), diagnostics: Diagnostics())
    let all = try Advantages(judged, weights: rewards.map(\.weight)).rewards.flatMap { $0 }
    return all.reduce(0, +) / Double(all.count)
  }
}
