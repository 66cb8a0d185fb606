// The reward-weighted importance of weights: against the change of the reward objective that it is the first order of,
// and of units by summing.

import Checkpoints
import Compression
import Glibc
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct RewardImportanceTests {
  static let temperature = 0.8

  static func request(
    rewards: [WeightedReward] = [odd], members: Int = 6, seed: UInt64 = 5
  ) throws -> RewardScoringRequest {
    RewardScoringRequest(
      prompts: [[5, 6, 7], [8], [9, 10]].map { Example(prompt: "", promptTokens: $0) },
      sampler: try GroupSampler(
        members: members, maximumTokens: 8, temperature: temperature, seed: seed, endTokens: [1, 2, 3, 4]),
      rewards: rewards)
  }

  /// Something that differs from text to text.
  static let odd = WeightedReward(
    RewardRule(MadeUpReward("odd") { Double($0.tokens % 3) + Double($0.completion.utf8.count % 5) / 4 }), weight: 2)

  static func score(
    _ model: TestModel, _ request: RewardScoringRequest, diagnostics: Diagnostics = Diagnostics(),
    monitor: Monitor = Monitor()
  ) throws -> RewardScoring {
    try rewardScores(
      model.state, model: "m", tensors: model.state.prunableTensors, request: request,
      tokenizer: model.checkpoint.tokenizer, compute: Engine.compute, monitor: monitor, diagnostics: diagnostics)
  }

  /// The completions that `request` draws, with their advantages.
  static func samples(
    _ model: TestModel, _ request: RewardScoringRequest
  ) throws -> (groups: [SampledGroup], advantages: Advantages) {
    let groups = try request.sampler.sample(
      request.prompts, step: 0, transformer: model.transformer, weights: model.history.current,
      tokenizer: model.checkpoint.tokenizer, compute: Engine.compute, monitor: Monitor())
    let judged = try request.rewards.judge(groups, monitor: Monitor(), diagnostics: Diagnostics())
    return (groups, try Advantages(judged, weights: request.rewards.map(\.weight)))
  }

  /// (1/N) sum of A_i * mean log pi of completion i.
  static func objective(
    _ transformer: Transformer, _ weights: any WeightSource, _ groups: [SampledGroup], _ advantages: Advantages
  ) throws -> Double {
    let found = try logProbabilities(
      of: groups, transformer: transformer, weights: weights, temperature: temperature, compute: Engine.compute,
      monitor: Monitor())
    var sum = 0.0, count = 0.0
    for (values, advantages) in zip(found, advantages.values) {
      for (value, advantage) in zip(values, advantages) {
        sum += advantage * value.reduce(0, +) / Double(value.count)
        count += 1
      }
    }
    return sum / count
  }

  /// Scaling weights by 1 + e and 1 - e moves the objective by 2 e sum of w g; signs as they are chosen, so that single
  /// errors do not cancel.
  @Test(arguments: ["llama3", "qwen3", "gpt2"], [false, true])
  func isTheFirstOrderOfTheObjective(name: String, masked: Bool) throws {
    let model = try TrainingFamily(name, masked: masked).model, request = try Self.request()
    let (groups, advantages) = try Self.samples(model, request)
    let scoring = try Self.score(model, request), compute = try Engine.compute
    #expect(scoring.completions == 18 && scoring.degenerateGroups == advantages.degenerateGroups)
    let sequences = policySequences(groups, advantages: advantages, normalisation: .grpo, maximumTokens: 8)
    var options = PolicyOptions()
    options.temperature = Self.temperature
    let gradient = try policyGradient(
      model.state, sequences: sequences, options: options, compute: compute, monitor: Monitor()
    ).gradients
    let parameters = Parameters(model.transformer, copying: model.history.current, pool: compute.pool)
    var random = Seeded(4)
    for tensor in model.state.prunableTensors.keys {
      let count = try #require(parameters.layout.entries[tensor]?.count), matrix = scoring.scores.tensors[tensor]?.matrix
      let scores = try #require(matrix).values.readOnly, w = parameters.block[tensor], g = gradient[tensor]
      #expect((0..<count).allSatisfy { scores[$0] == abs(w[$0] * g[$0]) && scores[$0].isFinite }, "\(tensor)")
      if let mask = model.history.current.tensor(tensor).mask {
        #expect(pruned(mask).allSatisfy { scores[$0] == 0 })
      }
      // Half the signs that add up, half at random.
      let signs = (0..<count).map { Float($0 % 2 == 0 ? (w[$0] * g[$0] < 0 ? -1 : 1) : random.next() % 2 == 0 ? 1 : -1) }
      let old = (0..<count).map { w[$0] }
      func moved(_ step: Float) throws -> Double {
        for index in 0..<count { w[index] = old[index] * (1 + step * signs[index]) }
        defer { for index in 0..<count { w[index] = old[index] } }
        return try Self.objective(model.transformer, parameters, groups, advantages)
      }
      let step: Float = 4e-3
      let numeric = (try moved(step) - moved(-step)) / Double(2 * step)
      // The loss is minus the objective.
      let analytic = (0..<count).reduce(0.0) { $0 - Double(signs[$1]) * Double(old[$1]) * Double(g[$1]) }
      #expect(abs(numeric - analytic) < 1e-2 * abs(analytic) + 1e-4, "\(tensor): \(numeric), \(analytic)")
    }
  }

  @Test func provenanceAndRepetition() throws {
    let model = try TrainingFamily("llama3").model
    let a = try Self.score(model, Self.request()), b = try Self.score(model, Self.request())
    for (x, y) in zip(a.scores.tensors.values, b.scores.tensors.values) {
      #expect(Array(x.matrix.values.readOnly) == Array(y.matrix.values.readOnly))
    }
    let provenance = a.scores.provenance
    #expect(provenance == b.scores.provenance && provenance.plugin == "reward" && provenance.model == "m")
    #expect(provenance.parameters["odd.weight"] == .number(2) && provenance.parameters["seed"] == .integer(5))
    #expect(a.meanReward == b.meanReward && a.meanReward > 0)
    let other = try Self.score(model, Self.request(seed: 6))
    #expect(other.scores.tensors.values.first?.summary != a.scores.tensors.values.first?.summary)
    let units = try aggregateUnits(
      a.scores, state: model.state, target: .width, compute: Engine.compute, monitor: Monitor())
    #expect(units.groups.count == 2 * model.transformer.shape.layers)
    #expect(units.groups.allSatisfy { $0.scores.allSatisfy { $0 > 0 } })
  }

  @Test func nothingToGoBy() throws {
    let model = try TrainingFamily("llama3").model
    let flat = WeightedReward(RewardRule(MadeUpReward { _ in 0.3 }))
    #expect(throws: PolicyError.rewardsAllEqual(prompts: 3, members: 6)) {
      try Self.score(model, Self.request(rewards: [flat]))
    }
    #expect(throws: PolicyError.rewardsAllEqual(prompts: 3, members: 1)) {
      try Self.score(model, Self.request(members: 1))
    }
    // One group that says something is enough; the others are reported.
    let first = WeightedReward(RewardRule(MadeUpReward { $0.prompt == "" ? Double($0.completion.utf8.reduce(0) { $0 ^ $1 }) : 0 }))
    var request = try Self.request(rewards: [first])
    request = RewardScoringRequest(
      prompts: [request.prompts[0], Example(prompt: "other", promptTokens: [8])], sampler: request.sampler,
      rewards: request.rewards)
    let diagnostics = Diagnostics()
    #expect(try Self.score(model, request, diagnostics: diagnostics).degenerateGroups == 1)
    #expect(diagnostics.all.kept.map(\.kind) == ["rewardsEqual"])
  }

  @Test func aTeachersReward() throws {
    let model = try TrainingFamily("llama3").model
    let likely = WeightedReward(
      RewardRule(MadeUpReward("likely", needsTeacher: true) { $0.teacherLogLikelihood ?? .nan }))
    var request = try Self.request(rewards: [likely])
    #expect(throws: PolicyError.teacherMissing(plugin: "likely")) { try Self.score(model, request) }
    request.teacher = try TrainingFamily("qwen3").model.state
    let scoring = try Self.score(model, request)
    #expect(scoring.meanReward < 0 && scoring.degenerateGroups == 0)
  }

  @Test func cancellation() throws {
    let model = try TrainingFamily("llama3").model, request = try Self.request()
    for count in [1, 4, 8] {
      #expect(throws: Cancelled.self) { try Self.score(model, request, monitor: cancelling(afterReports: count)) }
    }
  }
}
