// The part of importance/score that goes by rewards: completions are drawn and judged, and weights scored by what they
// do for the reward. Also how requests name rewards.

import Checkpoints
import Compression
import JSON
import OrderedCollections
import PluginHost
import Tensors
import Transformers
import WireTypes
import Workspace

/// importance/score with the plugin `reward`.
func scoreByRewards(_ params: ImportanceScore.Params, _ context: ServerContext) throws -> Plan {
  guard let param = params.reward else {
    throw JSONFieldError(
      .missingField, path: "params.reward", expected: "an object with `rewards`, which the scores are to go by")
  }
  let model = try context.model(params.model), state = try model.state(params.revision)
  let request = try context.rewardScoring(params, param, of: model)
  let target = try context.rewardTarget(params, state)
  let tensors = target == nil ? try state.prunableTensors(matching: params.criterion.modules) : state.prunableTensors
  let compute = try context.compute()
  return .work(.compute) { monitor in
    let start = monotonicSeconds(), diagnostics = Diagnostics(tensors: tensors.keys)
    let scoring = try rewardScores(
      state, model: params.model, tensors: tensors, request: request, tokenizer: model.checkpoint.tokenizer,
      compute: compute, monitor: monitor.part(0...(target == nil ? 1 : 0.95)), diagnostics: diagnostics)
    try model.checkpoint.requireIntact()
    let statistics = StatisticsFacts(reusedLayers: 0, neededLayers: 0)
    let facts = RewardFacts(
      meanReward: scoring.meanReward, completions: scoring.completions, equalPrompts: scoring.degenerateGroups)
    if let target {
      let units = try aggregateUnits(
        scoring.scores, state: state, target: target, compute: compute, monitor: monitor.part(0.95...1))
      let name = try context.keep(units, of: model, in: context.unitScores)
      return ImportanceScore.result(
        ScoresFacts(name, units), statistics: statistics, units: units.groups.map(UnitGroupFacts.init), reward: facts,
        diagnostics: diagnostics.json, seconds: monotonicSeconds() - start)
    }
    let name = try context.keep(scoring.scores, of: model, in: context.scores)
    return ImportanceScore.result(
      ScoresFacts(name, scoring.scores), statistics: statistics,
      tensors: scoring.scores.tensors.map { ImportanceScore.Tensor($0.key, $0.value.summary) }, reward: facts,
      diagnostics: diagnostics.json, seconds: monotonicSeconds() - start)
  }
}

extension ServerContext {
  /// The rewards of a request.
  /// - Throws: `PluginError`; `JSONFieldError` for parameters that are unknown or out of range.
  func rewards(_ params: [RewardParam]) throws -> [WeightedReward] {
    try params.map { param in
      let reward = try plugins.reward(id: param.method.plugin)
      let values = try values(reward.description.method, param.method.parameters, at: param.method.path)
      return WeightedReward(RewardRule(reward, parameters: values), weight: param.weight)
    }
  }

  /// The first prompts of a dataset.
  /// - Throws: `PolicyError.promptsMissing` if it has none, or fewer.
  func prompts(of dataset: Dataset, count: Int?) throws(PolicyError) -> [Example] {
    let available = dataset.examples.count
    guard available >= max(1, count ?? 1) else {
      throw .promptsMissing(asked: count, available: available)
    }
    return Array(dataset.examples.prefix(count ?? available))
  }

  fileprivate func rewardScoring(
    _ params: ImportanceScore.Params, _ param: RewardScoringParam, of model: LoadedModel
  ) throws -> RewardScoringRequest {
    if !params.criterion.parameters.isEmpty {
      throw JSONFieldError(
        .outOfRange, path: "params.parameters", expected: "nothing: what \"reward\" goes by is in `reward`",
        given: .object(params.criterion.parameters))
    }
    guard params.terms.isEmpty, params.training == nil else {
      throw CompressionError.termsInvalid(
        plugin: RewardScoringRequest.id, reason: "it takes none, and nothing is trained for it")
    }
    guard let name = params.criterion.dataset else {
      throw CompressionError.datasetRequired(plugin: RewardScoringRequest.id)
    }
    let dataset = try dataset(name), group = param.group
    var request = RewardScoringRequest(
      prompts: try prompts(of: dataset, count: group.prompts),
      sampler: try GroupSampler(
        members: group.completions, maximumTokens: group.maxTokens, temperature: group.temperature,
        seed: UInt64(group.seed), endTokens: model.checkpoint.tokenizer.endTokens),
      rewards: try rewards(param.rewards))
    request.scaling = AdvantageScaling(rawValue: param.scaling) ?? .group
    request.dataset = dataset.digest
    if let teacher = param.teacher { request.teacher = try rewardTeacher(teacher, of: model) }
    try request.rewards.check(request.prompts, hasTeacher: request.teacher != nil)
    return request
  }

  /// A teacher whose tokens are the model's own.
  private func rewardTeacher(_ param: ModelParam, of model: LoadedModel) throws -> ModelState {
    let teacher = try self.model(param.model)
    let sizes = (teacher.transformer.shape.vocabularySize, model.transformer.shape.vocabularySize)
    let shared = sharedVocabulary(
      teacher: teacher.checkpoint.tokenizer, teacherSize: sizes.0, student: model.checkpoint.tokenizer,
      studentSize: sizes.1)
    if case .different(let reason) = shared { throw PolicyError.teacherOfOtherTokens(reason: reason) }
    return try teacher.state(param.revision)
  }

  /// The units that are asked for; nil for weights.
  fileprivate func rewardTarget(_ params: ImportanceScore.Params, _ state: ModelState) throws -> UnitTarget? {
    guard params.unit != "weight" else { return nil }
    guard let target = UnitTarget(rawValue: params.unit), params.criterion.modules == nil else {
      throw CompressionError.unitRequestInvalid(reason: "units lie in several tensors; leave `modules` out")
    }
    if target == .channel { try state.requireRemovableChannels() }
    return target
  }
}
