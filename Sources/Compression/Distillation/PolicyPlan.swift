// Learning from rewards as a part of a run: prompts continued several times, judged, and taught by who did better.

import Checkpoints
import Tensors
import Transformers
import Workspace

/// Group-relative policy optimisation as a run does it.
package struct PolicyPlan: Sendable {
  package var rewards: [WeightedReward]
  /// Prompts of a step, and completions of each.
  package var prompts = 4
  package var members = 8
  package var maximumTokens = 64
  package var advantages = AdvantageOptions()
  package var normalisation = PolicyNormalisation.dapo
  package var options = PolicyOptions()
  /// The teacher's part in each token's advantage; nil for none.
  package var teacherTerm: TeacherTerm?
  /// Completions that no token ended do not count.
  package var skipsTruncated = false
  /// Optimiser steps on the same completions.
  package var iterations = 1

  package init(rewards: [WeightedReward]) { self.rewards = rewards }

  package var needsTeacher: Bool { teacherTerm != nil || rewards.needsTeacher }

  /// - Throws: `PolicyError`.
  func check(_ examples: [Example], hasTeacher: Bool) throws {
    try options.check()
    try rewards.check(examples, hasTeacher: hasTeacher)
    guard !examples.isEmpty else {
      throw PolicyError.optionsInvalid(expected: "a dataset with prompts, which come from JSONL or a built-in task")
    }
    guard (1...4096).contains(prompts), (1...256).contains(iterations) else {
      throw PolicyError.optionsInvalid(
        expected: "1 to 4096 prompts and 1 to 256 iterations, not \(prompts) and \(iterations)")
    }
  }
}

/// What a step of learning from rewards found out, for its metrics.
struct PolicyStep {
  let sequences: [PolicySequence]
  let metrics: [LossPart]
}

/// Draws and judges the completions of steps.
struct PolicyCollector {
  let plan: PolicyPlan
  let student: ModelState
  let teacher: ModelState?
  let tokenizer: Tokenizer
  let compute: Compute
  let precision: Precision

  /// - Parameter weights: the student's as they are.
  /// - Throws: `Cancelled`, what sampling, a reward or a forward pass throws.
  func collect(
    _ prompts: [Example], weights: any WeightSource, seed: UInt64, monitor: Monitor, diagnostics: Diagnostics
  ) throws -> PolicyStep {
    let model = student.transformer, temperature = plan.options.temperature
    let sampler = try GroupSampler(
      members: plan.members, maximumTokens: plan.maximumTokens, temperature: temperature, seed: seed,
      endTokens: tokenizer.endTokens)
    let quiet = Monitor(cancellation: monitor.cancellation)
    let groups = try sampler.sample(
      prompts, step: 0, transformer: model, weights: weights, tokenizer: tokenizer, compute: compute, monitor: quiet)
    func logs(
      _ transformer: Transformer, _ weights: any WeightSource, _ temperature: Double
    ) throws -> [[[Double]]] {
      try logProbabilities(
        of: groups, transformer: transformer, weights: weights, temperature: temperature, compute: compute,
        precision: precision, monitor: quiet)
    }
    var knowledge = PolicyKnowledge()
    let expected = try plan.teacherTerm.flatMap { _ in
      try teacher.map { try logs($0.transformer, $0.revision, temperature) }
    }
    // What rewards see is the teacher's own opinion, whatever the student was heated to.
    var opinion = temperature == 1 ? expected : nil
    if opinion == nil, plan.rewards.needsTeacher {
      opinion = try teacher.map { try logs($0.transformer, $0.revision, 1) }
    }
    if plan.options.divergenceWeight > 0 { knowledge.reference = try logs(model, student.revision, temperature) }
    if plan.iterations > 1 || plan.teacherTerm != nil {
      let own = try logs(model, weights, temperature)
      if plan.iterations > 1 { knowledge.old = own }
      if let term = plan.teacherTerm, let expected { knowledge.teacher = (term, expected, own) }
    }
    let rewards = try plan.rewards.judge(groups, teacher: opinion, monitor: quiet, diagnostics: diagnostics)
    let advantages = try Advantages(rewards, weights: plan.rewards.map(\.weight), options: plan.advantages)
    if advantages.degenerateGroups == groups.count {
      diagnostics.add(
        Diagnostic(
          .warning, kind: "rewardsEqual",
          "All completions of every prompt had the same reward, so that the rewards taught nothing in this step. Give a "
            + "reward that tells completions apart, or take more completions, a higher temperature or easier prompts."))
    }
    let sequences = policySequences(
      groups, advantages: advantages, knowledge: knowledge, normalisation: plan.normalisation,
      maximumTokens: plan.maximumTokens, skipsTruncated: plan.skipsTruncated)
    return PolicyStep(sequences: sequences, metrics: metrics(groups, rewards, advantages))
  }

  private func metrics(
    _ groups: [SampledGroup], _ rewards: [[[Double]]], _ advantages: Advantages
  ) -> [LossPart] {
    func mean(_ values: [Double]) -> Double { values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count) }
    let all = advantages.rewards.flatMap { $0 }, completions = groups.flatMap(\.completions)
    let average = mean(all)
    return [
      LossPart(name: "reward", value: average),
      LossPart(name: "rewardDeviation", value: mean(all.map { ($0 - average) * ($0 - average) }).squareRoot()),
      LossPart(name: "equalPrompts", value: Double(advantages.degenerateGroups) / Double(max(1, groups.count))),
      LossPart(name: "completionTokens", value: mean(completions.map { Double($0.tokens.count) })),
      LossPart(name: "ended", value: mean(completions.map { $0.hasEnded ? 1 : 0 })),
    ] + zip(plan.rewards, rewards).map { reward, values in
      LossPart(name: "reward.\(reward.id)", value: mean(values.flatMap { $0 }))
    }
  }
}
