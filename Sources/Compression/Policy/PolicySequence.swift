// Sampled completions as the policy objective takes them: tokens that go through the model, and what each row is told.

package import Transformers
import Workspace

/// A prompt with a completion, in training.
package struct PolicySequence: Sendable, Equatable {
  /// What goes through the model: prompt and completion but for the last token, which predicts nothing.
  package let tokens: [Int32]
  /// One for each of `tokens`: rows of the prompt predict nothing, but for its last.
  package let rows: [PolicyToken?]

  /// - Parameters:
  ///   - advantages, old, reference: for each token of the completion.
  ///   - weight: of each token; 0 for a completion that does not count.
  init(
    prompt: [Int32], completion: [Int32], advantages: [Double], weight: Double, old: [Double]?, reference: [Double]?
  ) {
    tokens = prompt + completion.dropLast()
    rows =
      prompt.dropLast().map { _ in nil }
      + completion.indices.map { index in
        guard weight != 0 else { return nil }
        return PolicyToken(
          token: completion[index], advantage: advantages[index], weight: weight, oldLogProbability: old?[index],
          referenceLogProbability: reference?[index])
      }
  }

  /// The sequences as one batch.
  package static func batch(
    _ sequences: some Sequence<PolicySequence>
  ) -> (batch: Batch, tokens: [Int32], rows: [PolicyToken?]) {
    let all = Array(sequences)
    return (Batch(lengths: all.map(\.tokens.count)), all.flatMap(\.tokens), all.flatMap(\.rows))
  }
}

/// A teacher's say in the policy objective: each token's advantage grows by how much likelier the teacher finds it than
/// the student did. Its gradient is that of the divergence KL(student || teacher). (Gu et al. 2024, MiniLLM, arXiv
/// 2306.08543, equation 3)
package struct TeacherTerm: Sendable, Equatable {
  /// Eta, at least 0.
  package let weight: Double
  /// Gamma, 0...1: how much a token answers for those that follow. 0 is on-policy distillation token by token.
  package let discount: Double
  /// Divides by the sum of the discounts, so that early tokens of long texts do not count for more.
  package let isNormalised: Bool

  package init(weight: Double, discount: Double = 0, isNormalised: Bool = true) {
    self.weight = weight
    self.discount = discount
    self.isNormalised = isNormalised
  }

  /// R_t = sum over s >= t of discount^(s - t) (teacher_s - student_s), for each token of a completion.
  /// - Parameters:
  ///   - teacher, student: log-probabilities of the completion's tokens; both are constants.
  package func credits(teacher: [Double], student: [Double]) -> [Double] {
    precondition(teacher.count == student.count)
    var credits = teacher, credit = 0.0, discounts = 0.0
    for index in teacher.indices.reversed() {
      credit = teacher[index] - student[index] + discount * credit
      discounts = 1 + discount * discounts
      credits[index] = isNormalised ? credit / discounts : credit
    }
    return credits
  }
}

/// What is known of the completions of a step besides their rewards, by group and member, for each token.
package struct PolicyKnowledge: Sendable {
  /// Log-probabilities when they were drawn, at the temperature of sampling; nil if the policy has not moved since.
  package var old: [[[Double]]]?
  package var reference: [[[Double]]]?
  /// The teacher's log-probabilities with the student's (when drawn).
  package var teacher: (term: TeacherTerm, teacher: [[[Double]]], student: [[[Double]]])?

  package init() {}
}

/// The sequences of a step: one for each completion of the groups that count, group after group.
/// - Parameters:
///   - advantages: of `groups`.
///   - maximumTokens: that a completion may have; what Dr. GRPO divides by.
///   - skipsTruncated: completions that no token ended do not count. If that leaves none, all count with advantages of 0:
///     a step has something to divide by. (DAPO's overlong filtering)
package func policySequences(
  _ groups: [SampledGroup], advantages: Advantages, knowledge: PolicyKnowledge = PolicyKnowledge(),
  normalisation: PolicyNormalisation, maximumTokens: Int, skipsTruncated: Bool = false
) -> [PolicySequence] {
  let completions = advantages.groups.flatMap { groups[$0].completions }
  let isSilent = skipsTruncated && !completions.contains(where: \.hasEnded)
  func counts(_ completion: SampledCompletion) -> Bool { completion.hasEnded || !skipsTruncated || isSilent }
  let tokens = completions.reduce(0) { $0 + (counts($1) ? $1.tokens.count : 0) }
  return zip(advantages.groups, advantages.values).flatMap { group, values in
    groups[group].completions.indices.map { member in
      let completion = groups[group].completions[member], length = completion.tokens.count
      let divisor: Int =
        switch normalisation {
        case .grpo: completions.count * length
        case .dapo: max(1, tokens)
        case .drGRPO: completions.count * maximumTokens
        }
      var each = [Double](repeating: values[member], count: length)
      if let (term, teacher, student) = knowledge.teacher {
        let credits = term.credits(teacher: teacher[group][member], student: student[group][member])
        for index in each.indices { each[index] += term.weight * credits[index] }
      }
      if isSilent { each = each.map { _ in 0 } }
      return PolicySequence(
        prompt: groups[group].example.promptTokens, completion: completion.tokens, advantages: each,
        weight: counts(completion) ? 1 / Double(divisor) : 0, old: knowledge.old?[group][member],
        reference: knowledge.reference?[group][member])
    }
  }
}
