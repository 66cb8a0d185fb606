// The built-in model learns sums from rewards alone, once it has seen a few of them.

import BuiltinModels
import Checkpoints
import Compression
import TestSupport
import Testing

@Suite struct RewardLearningTests {
  /// Forty steps of imitation bring it to where it is sometimes right; the rest is reward.
  @Test func rewardRises() throws {
    let model = try RewardedModel(TestModel(path: try #require(BuiltinModels.path(ofModel: "sapling"))))
    let task = try ArithmeticTask(), examples = try task.examples(count: task.available, seed: 1)
    for step in 0..<40 {
      _ = try model.imitate((0..<32).map { examples[(step * 32 + $0) % examples.count] }, learningRate: 1e-3)
    }
    let prompts = try model.prompts(Array(examples.prefix(8)))
    let sampler = try GroupSampler(
      members: 16, maximumTokens: 4, seed: 3, endTokens: model.tokenizer.endTokens)
    let before = try model.meanReward(prompts, sampler: sampler, rewards: [.exact])
    for _ in 0..<25 {
      _ = try model.explore(prompts, sampler: sampler, rewards: [.exact], learningRate: 2e-4)
    }
    let after = try model.meanReward(prompts, sampler: sampler, rewards: [.exact])
    #expect(before > 0.02 && before < 0.6)
    #expect(after > before + 0.2, "\(before), then \(after)")
  }
}
