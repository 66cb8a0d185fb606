// How requests name rewards, and how completions are drawn for them: shared by importance/score and what learns from
// rewards.

import JSON

/// One of `rewards`: a plugin's id, or {plugin, parameters?, weight?}.
package struct RewardParam: Sendable {
  package let method: MethodParam
  /// Below 0 for what is to be avoided.
  package let weight: Double

  init(_ json: JSON, at path: String) throws(JSONFieldError) {
    guard json.object != nil else {
      method = try MethodParam(json, at: path)
      weight = 1
      return
    }
    var fields = try JSONFields(json, at: path)
    method = try MethodParam(&fields)
    weight = try fields.double("weight", in: -1e6...1e6, default: 1)
    try fields.finish()
  }
}

/// How groups of completions are drawn: {prompts?, completions?, maxTokens?, temperature?, seed?}.
package struct GroupParam: Sendable {
  /// How many of the dataset's prompts, from the first; nil for all.
  package let prompts: Int?
  /// Of each prompt.
  package let completions: Int
  package let maxTokens: Int
  package let temperature: Double
  package let seed: Int

  init(_ fields: inout JSONFields) throws(JSONFieldError) {
    prompts = try fields.optionalInt("prompts", in: 1...(1 << 20))
    completions = try fields.int("completions", in: 2...1024, default: 8)
    maxTokens = try fields.int("maxTokens", in: 1...(1 << 20), default: 64)
    temperature = try fields.double("temperature", in: 0.01...100, default: 1)
    seed = try fields.int("seed", in: 0...Int.max, default: 0)
  }
}

/// The member `reward` of importance/score: what the scores go by.
package struct RewardScoringParam: Sendable {
  package let rewards: [RewardParam]
  package let group: GroupParam
  package let scaling: String
  package let teacher: ModelParam?

  package static let scalings = ["group", "batch", "none"]

  init(_ fields: inout JSONFields) throws(JSONFieldError) {
    rewards = try fields.rewards("rewards")
    group = try GroupParam(&fields)
    scaling = try fields.string("scaling", oneOf: Self.scalings, default: "group")
    teacher = try fields.optionalModel("teacher")
  }
}

/// What came of the completions that scores go by.
package struct RewardFacts: Sendable {
  let json: JSON

  /// - Parameter equalPrompts: those whose completions all had the same reward.
  package init(meanReward: Double, completions: Int, equalPrompts: Int) {
    json = [
      "meanReward": JSON(meanReward), "completions": JSON(completions), "equalPrompts": JSON(equalPrompts),
    ]
  }
}

extension JSONFields {
  /// Rewards, at least one: a list, or one by itself.
  mutating func rewards(_ key: String) throws(JSONFieldError) -> [RewardParam] {
    let json = try value(key), elements = json.array ?? [json]
    guard (1...16).contains(elements.count) else { throw error(.outOfRange, key, expected: "1 to 16 rewards") }
    var rewards: [RewardParam] = []
    for (index, element) in elements.enumerated() {
      rewards.append(
        try RewardParam(element, at: json.array == nil ? path(of: key) : "\(path(of: key))[\(index)]"))
    }
    return rewards
  }
}
