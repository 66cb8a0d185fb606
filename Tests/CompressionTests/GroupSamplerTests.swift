// Groups of completions: repeatable one by one, with the log-probabilities that the model gives them; and their judging.

import Checkpoints
import Compression
import Glibc
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct GroupSamplerTests {
  static let prompts = [[5, 6, 7], [8], [9, 10], [5, 6, 7]].map { Example(prompt: "", promptTokens: $0) }

  static func sampler(
    members: Int = 3, seed: UInt64 = 7, temperature: Double = 0.8, ends: [Int32] = [1, 2, 3, 4]
  ) throws -> GroupSampler {
    try GroupSampler(members: members, maximumTokens: 12, temperature: temperature, seed: seed, endTokens: ends)
  }

  static func sample(
    _ sampler: GroupSampler, _ prompts: [Example] = prompts, step: Int = 0, model: TestModel? = nil
  ) throws -> [SampledGroup] {
    let model = try model ?? TrainingFamily("llama3").model
    return try sampler.sample(
      prompts, step: step, transformer: model.transformer, weights: model.history.current,
      tokenizer: model.checkpoint.tokenizer, compute: Engine.compute, monitor: Monitor())
  }

  @Test func whatIsDrawn() throws {
    let groups = try Self.sample(Self.sampler())
    #expect(groups.map(\.example) == Self.prompts && groups.allSatisfy { $0.completions.count == 3 })
    let all = groups.flatMap(\.completions)
    #expect(Set(all.map(\.tokens)).count > 9, "not the same thing over and over")
    for completion in all {
      #expect((1...12).contains(completion.tokens.count))
      #expect(completion.logProbabilities.count == completion.tokens.count)
      #expect(completion.hasEnded == (1...4).contains(try #require(completion.tokens.last)))
      #expect(!completion.tokens.dropLast().contains { (1...4).contains($0) })
      #expect(completion.hasEnded || completion.tokens.count == 12)
      #expect(completion.logProbabilities.allSatisfy { $0.isFinite && $0 <= 0 })
    }
    #expect(all.contains { $0.hasEnded } && all.contains { !$0.hasEnded })
  }

  /// A completion depends on seed, step, prompt and member, not on how many others there are.
  @Test func seedsNameCompletions() throws {
    let groups = try Self.sample(Self.sampler())
    #expect(try Self.sample(Self.sampler()) == groups)
    #expect(groups[0].completions != groups[3].completions, "the same prompt in another place")
    #expect(try Self.sample(Self.sampler(), Array(Self.prompts.prefix(2))) == Array(groups.prefix(2)))
    #expect(try Self.sample(Self.sampler(), step: 1)[0] != groups[0])
    #expect(try Self.sample(Self.sampler(seed: 8))[0] != groups[0])
    // More than go together at a time.
    let many = (0..<30).map { _ in Self.prompts[1] }
    let all = try Self.sample(Self.sampler(), many)
    #expect(try Self.sample(Self.sampler(), Array(many.prefix(22)))[21] == all[21])
    #expect(Set(all.flatMap { $0.completions.map(\.tokens) }).count > 60)
  }

  /// What was said when a token was drawn is what the model says of it in training.
  @Test(arguments: [0.8, 1, 1.7])
  func logProbabilitiesAreTheModels(temperature: Double) throws {
    let model = try TrainingFamily("llama3").model
    let groups = try Self.sample(Self.sampler(temperature: temperature), model: model)
    let found = try logProbabilities(
      of: groups, transformer: model.transformer, weights: model.history.current, temperature: temperature,
      compute: Engine.compute, monitor: Monitor())
    for (group, values) in zip(groups, found) {
      for (completion, values) in zip(group.completions, values) {
        #expect(
          difference(Numbers(completion.logProbabilities), Numbers(values), Tolerance(absolute: 2e-5)) == nil)
      }
    }
    // A test of the test: at another temperature they are others.
    let other = try logProbabilities(
      of: groups, transformer: model.transformer, weights: model.history.current, temperature: temperature * 1.1,
      compute: Engine.compute, monitor: Monitor())
    #expect(abs(other[0][0][0] - found[0][0][0]) > 1e-3)
  }

  @Test func textIsWithoutItsEnd() throws {
    let model = try TrainingFamily("llama3").model, tokenizer = model.checkpoint.tokenizer
    for completion in try Self.sample(Self.sampler(), model: model).flatMap(\.completions) {
      let spoken = completion.hasEnded ? Array(completion.tokens.dropLast()) : completion.tokens
      #expect(try completion.text == tokenizer.decode(spoken, skipSpecialTokens: true))
    }
  }

  @Test func samplersThatAreNone() {
    func kind(_ members: Int, _ tokens: Int, _ temperature: Double) -> String? {
      do {
        _ = try GroupSampler(
          members: members, maximumTokens: tokens, temperature: temperature, seed: 0, endTokens: [])
        return nil
      } catch { return error.kind }
    }
    #expect(kind(1, 1, 1) == nil)
    for (members, tokens, temperature) in [
      (0, 1, 1.0), (5000, 1, 1), (1, 0, 1), (1, 1 << 21, 1), (1, 1, 0), (1, 1, .nan), (1, 1, .infinity), (1, 1, -1),
    ] {
      #expect(kind(members, tokens, temperature) == "policyOptionsInvalid")
    }
  }

  @Test func cancellation() throws {
    let model = try TrainingFamily("llama3").model, cancellation = Cancellation()
    cancellation.cancel()
    #expect(throws: Cancelled.self) {
      try Self.sampler().sample(
        Self.prompts, step: 0, transformer: model.transformer, weights: model.history.current,
        tokenizer: model.checkpoint.tokenizer, compute: Engine.compute,
        monitor: Monitor(cancellation: cancellation))
    }
  }

  // MARK: Judging

  static func groups(answer: String?) -> [SampledGroup] {
    ["a", "b"].map { prompt in
      SampledGroup(
        example: Example(prompt: prompt, promptTokens: [1], answer: answer),
        completions: ["x", "xy"].map {
          SampledCompletion(
            tokens: $0.utf8.map { Int32($0) }, text: $0, hasEnded: $0 == "x", logProbabilities: [])
        })
    }
  }

  static func judge(
    _ rewards: [WeightedReward], answer: String? = nil, teacher: [[[Double]]]? = nil
  ) throws -> [[[Double]]] {
    try rewards.judge(groups(answer: answer), teacher: teacher, monitor: Monitor(), diagnostics: Diagnostics())
  }

  @Test func rewardsSeeWhatThereIs() throws {
    let length = WeightedReward(
      RewardRule(
        MadeUpReward { text in
          Double(text.tokens) + (text.hasEnded ? 0.5 : 0) + (text.prompt == "b" ? 10 : 0)
            + (text.teacherLogLikelihood ?? 100)
        }), weight: -2)
    #expect(try Self.judge([length]) == [[[101.5, 102], [111.5, 112]]])
    let likely = WeightedReward(RewardRule(MadeUpReward(needsTeacher: true) { $0.teacherLogLikelihood ?? .nan }))
    let same = WeightedReward(RewardRule(MadeUpReward(needsAnswer: true) { $0.completion == $0.answer ? 1 : 0 }))
    let all = try Self.judge([likely, same], answer: "xy", teacher: [[[-1], [-2, -3]], [[-4], [-5, -6]]])
    #expect(all == [[[-1, -5], [-4, -11]], [[0, 1], [0, 1]]])
  }

  @Test func rewardsWithoutWhatTheyNeed() {
    let likely = WeightedReward(RewardRule(MadeUpReward("likely", needsTeacher: true) { _ in 0 }))
    #expect(throws: PolicyError.teacherMissing(plugin: "likely")) { try Self.judge([likely]) }
    #expect(throws: PolicyError.answerMissing(plugin: "exact", example: 0)) { try Self.judge([.exact]) }
    #expect(throws: PolicyError.self) { try Self.judge([]) }
    for weight in [0, .nan, Double.infinity] {
      let useless = WeightedReward(RewardRule(MadeUpReward { _ in 0 }), weight: weight)
      #expect(throws: PolicyError.self) { try Self.judge([useless]) }
    }
  }
}
