// What rewards say of sampled completions.

package import Tensors
package import Workspace

/// A reward with its parameters.
package typealias RewardRule = Configured<any Reward>

/// A reward with its weight among others.
package struct WeightedReward: Sendable {
  package let rule: RewardRule
  /// Finite; below 0 for what is to be avoided.
  package let weight: Double

  package init(_ rule: RewardRule, weight: Double = 1) {
    self.rule = rule
    self.weight = weight
  }

  package var id: String { rule.id }
}

extension [WeightedReward] {
  package var needsTeacher: Bool { contains { $0.rule.method.description.needsTeacher } }
  package var needsAnswer: Bool { contains { $0.rule.method.description.needsAnswer } }

  /// That all that the rewards need is there.
  /// - Throws: `PolicyError`.
  package func check(_ prompts: some Sequence<Example>, hasTeacher: Bool) throws(PolicyError) {
    guard !isEmpty, allSatisfy(\.weight.isFinite), contains(where: { $0.weight != 0 }) else {
      throw .optionsInvalid(expected: "one reward at least, with finite weights that are not all 0")
    }
    if !hasTeacher, let one = first(where: { $0.rule.method.description.needsTeacher }) {
      throw .teacherMissing(plugin: one.id)
    }
    if let one = first(where: { $0.rule.method.description.needsAnswer }),
      let index = prompts.map(\.answer).firstIndex(of: nil)
    {
      throw .answerMissing(plugin: one.id, example: index)
    }
  }

  /// The rewards of every completion: by reward, group and member.
  /// - Parameter teacher: the teacher's log-probabilities of their tokens, if a reward needs it.
  /// - Throws: `PolicyError` if something is missing; `Cancelled`, or a reward's own error.
  package func judge(
    _ groups: [SampledGroup], teacher: [[[Double]]]? = nil, monitor: Monitor, diagnostics: Diagnostics
  ) throws -> [[[Double]]] {
    try check(groups.map(\.example), hasTeacher: teacher != nil)
    return try map { reward in
      try groups.indices.map { group in
        let example = groups[group].example
        return try groups[group].completions.indices.map { member in
          try monitor.checkCancelled()
          let completion = groups[group].completions[member]
          let text = SampledText(
            prompt: example.prompt, completion: completion.text, answer: example.answer,
            tokens: completion.tokens.count, hasEnded: completion.hasEnded,
            teacherLogLikelihood: teacher?[group][member].reduce(0, +))
          return try reward.rule.method.judge(
            text, parameters: reward.rule.values, monitor: Monitor(cancellation: monitor.cancellation),
            diagnostics: diagnostics)
        }
      }
    }
  }
}
