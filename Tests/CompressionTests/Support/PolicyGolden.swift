// What numpy and PyTorch say of learning from rewards (Goldens/policy_goldens.py), and its fixed samples.

import Compression
import TestSupport
import Transformers
import Workspace

struct PolicyGolden {
  let golden: Golden

  init() throws {
    golden = try Golden("\(Repository.goldens(of: "CompressionTests"))/policy.golden.safetensors")
  }

  func values(_ name: String) throws -> [Double] { try golden.numbers(name).values }

  /// A tensor of three dimensions as arrays.
  func cube(_ name: String) throws -> [[[Double]]] {
    let numbers = try golden.numbers(name), shape = numbers.shape
    return (0..<shape[0]).map { i in
      (0..<shape[1]).map { j in
        let first = (i * shape[1] + j) * shape[2]
        return Array(numbers.values[first..<first + shape[2]])
      }
    }
  }

  /// The fixed samples as groups.
  func groups() throws -> [SampledGroup] {
    let lengths = try golden.numbers("steps.lengths"), completions = try cube("steps.completions")
    let prompts = try golden.numbers("steps.prompts"), width = prompts.shape[1]
    return completions.enumerated().map { group, members in
      let prompt = prompts.values[group * width..<(group + 1) * width].map { Int32($0) }
      return SampledGroup(
        example: Example(prompt: "", promptTokens: prompt, answer: nil),
        completions: members.enumerated().map { member, tokens in
          let length = Int(lengths.values[group * members.count + member])
          return SampledCompletion(
            tokens: tokens.prefix(length).map { Int32($0) }, text: "", hasEnded: true, logProbabilities: [])
        })
    }
  }

  /// Log-probabilities of the samples' tokens, cut to their lengths.
  func tokenValues(_ name: String) throws -> [[[Double]]] {
    try zip(cube(name), groups()).map { values, group in
      zip(values, group.completions).map { Array($0.prefix($1.tokens.count)) }
    }
  }

  func rewards() throws -> [[Double]] {
    let rewards = try golden.numbers("steps.rewards"), members = rewards.shape[1]
    return (0..<rewards.shape[0]).map { Array(rewards.values[$0 * members..<($0 + 1) * members]) }
  }
}

/// A run of the golden's twenty steps.
enum PolicyRun: String, CaseIterable {
  case grpo, dapo
  case drGRPO = "dr-grpo"

  var normalisation: PolicyNormalisation {
    switch self {
    case .grpo: .grpo
    case .dapo: .dapo
    case .drGRPO: .drGRPO
    }
  }

  var options: PolicyOptions {
    var options = PolicyOptions()
    switch self {
    case .grpo: options.divergenceWeight = 0.04
    case .dapo:
      options.divergenceWeight = 0.1
      options.correctsBias = true
      options.temperature = 0.9
      options.clipHigh = 0.28
    case .drGRPO:
      options.divergenceWeight = 0.05
      options.estimator = .k2
    }
    return options
  }

  /// What the samples are told in it.
  func sequences(_ golden: PolicyGolden) throws -> [PolicySequence] {
    var knowledge = PolicyKnowledge()
    knowledge.old = try golden.tokenValues("steps.\(rawValue).old")
    knowledge.reference = try golden.tokenValues("steps.\(rawValue).reference")
    if self == .drGRPO, let old = knowledge.old {
      knowledge.teacher = (
        TeacherTerm(weight: 0.3, discount: 0.5), try golden.tokenValues("steps.\(rawValue).teacher"), old
      )
    }
    return policySequences(
      try golden.groups(), advantages: try Advantages([golden.rewards()], weights: [1]), knowledge: knowledge,
      normalisation: normalisation, maximumTokens: 9)
  }
}
