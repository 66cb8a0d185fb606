// Importance of weights for what a reward asks: what the reward objective changes at first order when a weight goes.
// The reward term of MAMA. (Taylor expansion: Molchanov et al. 2019, arXiv 1906.10771, equation 3; the gradient is the
// policy gradient with group-relative advantages, Shao et al. 2024, arXiv 2402.03300, at ratio 1)

package import Checkpoints
package import OrderedCollections
package import Tensors
import Transformers
package import Workspace

/// How completions are drawn and judged.
package struct RewardScoringRequest: Sendable {
  package let prompts: [Example]
  package let sampler: GroupSampler
  package let rewards: [WeightedReward]
  package var scaling = AdvantageScaling.group
  /// For rewards that need one; of the same tokenizer.
  package var teacher: ModelState?
  /// Of the dataset that the prompts are from.
  package var dataset: String?

  package init(prompts: [Example], sampler: GroupSampler, rewards: [WeightedReward]) {
    self.prompts = prompts
    self.sampler = sampler
    self.rewards = rewards
  }
}

package struct RewardScoring: Sendable {
  package let scores: ScoreSet
  /// Over all completions, weights of the rewards included.
  package let meanReward: Double
  /// Prompts whose completions all had the same reward, which say nothing.
  package let degenerateGroups: Int
  package let completions: Int
}

/// Scores the weights of `tensors` by
///
///     S_ij = | w_ij * d/dw_ij (1/N) sum over completions i of A_i * mean over its tokens of log pi(token) |
///
/// over N = prompts * members completions that the model draws itself at the sampler's temperature, with their
/// group-relative advantages A. How much the expected reward would change, to first order, if the weight were pruned.
/// - Parameter model: the name under which the scores say what they are of.
/// - Throws: `PolicyError` (`.rewardsAllEqual` if there is nothing to go by), `GenerationError`, `TransformerError`,
///   `CompressionError`, `TrainingError`, `Cancelled`, or what a reward throws.
package func rewardScores(
  _ state: ModelState, model: String, tensors: OrderedDictionary<String, PrunableTensor>,
  request: RewardScoringRequest, tokenizer: Tokenizer, compute: Compute, monitor: Monitor, diagnostics: Diagnostics
) throws -> RewardScoring {
  let rewards = request.rewards, sampler = request.sampler
  try rewards.check(request.prompts, hasTeacher: request.teacher != nil)
  try requireMemory(tensors.values.reduce(0) { $0 + $1.elementCount } * 4, for: "Scoring \(tensors.count) tensors")
  let groups = try sampler.sample(
    request.prompts, step: 0, transformer: state.transformer, weights: state.revision, tokenizer: tokenizer,
    compute: compute, monitor: monitor.part(0...0.5))
  var teacher: [[[Double]]]?
  if rewards.needsTeacher, let state = request.teacher {
    teacher = try logProbabilities(
      of: groups, transformer: state.transformer, weights: state.revision, compute: compute,
      monitor: monitor.part(0.5...0.6))
  }
  let judged = try rewards.judge(groups, teacher: teacher, monitor: monitor, diagnostics: diagnostics)
  var options = AdvantageOptions()
  options.scaling = request.scaling
  let advantages = try Advantages(judged, weights: rewards.map(\.weight), options: options)
  guard advantages.degenerateGroups < groups.count else {
    throw PolicyError.rewardsAllEqual(prompts: groups.count, members: sampler.members)
  }
  if advantages.degenerateGroups > 0 {
    diagnostics.add(
      Diagnostic(
        .information, kind: "rewardsEqual",
        "All completions of \(advantages.degenerateGroups) of the \(groups.count) prompts have the same reward: these "
          + "prompts say nothing of what is worth keeping."))
  }
  let scores = try rewardScores(
    state, groups: groups, advantages: advantages, tensors: tensors, temperature: sampler.temperature,
    compute: compute, monitor: monitor.part(0.6...1))
  let all = advantages.rewards.flatMap { $0 }
  return RewardScoring(
    scores: ScoreSet(
      provenance: request.provenance(model: model, revision: state.revision.id), defaultGroup: .row,
      tensors: try summarised(scores, pool: compute.pool, monitor: monitor)),
    meanReward: all.reduce(0, +) / Double(all.count), degenerateGroups: advantages.degenerateGroups,
    completions: all.count)
}

/// The scores of given completions.
package func rewardScores(
  _ state: ModelState, groups: [SampledGroup], advantages: Advantages,
  tensors: OrderedDictionary<String, PrunableTensor>, temperature: Double, compute: Compute, monitor: Monitor
) throws -> OrderedDictionary<String, ScoreMatrix> {
  var options = PolicyOptions()
  options.temperature = temperature
  let sequences = policySequences(groups, advantages: advantages, normalisation: .grpo, maximumTokens: 1)
  let gradient = try policyGradient(
    state, sequences: sequences, options: options, compute: compute, monitor: monitor)
  let largest = FloatBuffer(count: tensors.largestElementCount)
  var scores: OrderedDictionary<String, ScoreMatrix> = [:]
  for tensor in tensors.values {
    try monitor.checkCancelled()
    let matrix = ScoreMatrix(rows: tensor.rows, columns: tensor.columns), values = matrix.values
    let weights = state.revision.tensor(tensor.name).floats(orReadInto: largest.pointer, pool: compute.pool)
    let g = gradient.gradients[tensor.name]
    compute.pool.parallelRanges(tensor.elementCount, grain: 1 << 14) { range, _ in
      for index in range { values.pointer[index] = abs(weights[index] * g[index]) }
    }
    scores[tensor.name] = matrix
  }
  return scores
}

extension RewardScoringRequest {
  /// The name of these scores in the place of a plugin's.
  package static let id = "reward"
  private static let version = "1.0.0"

  fileprivate func provenance(model: String, revision: String) -> ScoreProvenance {
    var parameters: OrderedDictionary<String, ParameterValue> = [
      "prompts": .integer(Int64(prompts.count)), "completions": .integer(Int64(sampler.members)),
      "maxTokens": .integer(Int64(sampler.maximumTokens)), "temperature": .number(sampler.temperature),
      "seed": .integer(Int64(truncatingIfNeeded: sampler.seed)),
    ]
    for reward in rewards {
      parameters[reward.id + ".weight"] = .number(reward.weight)
      for (name, value) in reward.rule.parameters { parameters[reward.id + "." + name] = value }
    }
    return ScoreProvenance(
      model: model, revision: revision, plugin: Self.id, pluginVersion: Self.version, parameters: parameters,
      dataset: dataset)
  }
}
