// What can be wrong with learning from rewards: facts, and their words.

/// Why a step with rewards was refused. Nothing was changed.
package enum PolicyError: Error, Equatable {
  case rewardsInvalid(reason: String)
  case optionsInvalid(expected: String)
  /// The reward needs what example `example` or the run does not have.
  case answerMissing(plugin: String, example: Int)
  case teacherMissing(plugin: String)
  case teacherOfOtherTokens(reason: String)
  /// A dataset has too few prompts, or none.
  case promptsMissing(asked: Int?, available: Int)
  /// No prompt has completions of different rewards.
  case rewardsAllEqual(prompts: Int, members: Int)
  case tasksExhausted(asked: Int, available: Int)

  /// A stable word for clients.
  package var kind: String {
    switch self {
    case .rewardsInvalid: "rewardsInvalid"
    case .optionsInvalid: "policyOptionsInvalid"
    case .answerMissing: "answerMissing"
    case .teacherMissing: "teacherMissing"
    case .teacherOfOtherTokens: "vocabulariesDiffer"
    case .promptsMissing: "promptsMissing"
    case .rewardsAllEqual: "rewardsAllEqual"
    case .tasksExhausted: "tasksExhausted"
    }
  }

  package var message: String {
    switch self {
    case .rewardsInvalid(let reason):
      "These rewards cannot be compared: \(reason)."
    case .optionsInvalid(let expected):
      "These numbers make no learning from rewards. Expected \(expected)."
    case .answerMissing(let plugin, let example):
      "The reward \(plugin) compares with an answer, and example \(example) of the dataset has none. "
        + "Take a dataset whose examples have answers, or another reward."
    case .teacherMissing(let plugin):
      "The reward \(plugin) asks what a teacher thinks of a text, and there is no teacher. Name one."
    case .teacherOfOtherTokens(let reason):
      "The teacher cannot judge this model's tokens: \(reason). Take a teacher with the same tokenizer."
    case .promptsMissing(let asked, let available):
      "The dataset has \(available == 0 ? "no prompts" : "\(available) prompts") to draw completions for"
        + (asked.map { ", and \($0) were asked for" } ?? "")
        + ". Load one of documents with prompts (`format` \"jsonl\"), or \"builtin:arithmetic\"."
    case .rewardsAllEqual(let prompts, let members):
      "All \(members) completions of each of the \(prompts) prompts have the same reward: nothing says what is worth "
        + "keeping. Take more prompts or completions, a higher temperature, or a reward that the model sometimes gets."
    case .tasksExhausted(let asked, let available):
      "There are \(available) different tasks of this kind, and \(asked) were asked for. "
        + "Ask for fewer, or allow more digits or operations."
    }
  }
}
