// How distill/start has a student learn from text that it writes itself: taught by a teacher, or judged by rewards.

import JSON

/// `onPolicy`: {fraction?, promptTokens?, maxTokens?, temperature?}.
package struct OnPolicyParam: Sendable {
  package let fraction: Double
  package let promptTokens: Int
  package let maxTokens: Int
  package let temperature: Double

  init(_ fields: inout JSONFields) throws(JSONFieldError) {
    fraction = try fields.double("fraction", in: 0...1, default: 0.5)
    promptTokens = try fields.int("promptTokens", in: 1...(1 << 20), default: 32)
    maxTokens = try fields.int("maxTokens", in: 1...(1 << 20), default: 128)
    temperature = try fields.double("temperature", in: 0.01...100, default: 1)
    try fields.finish()
  }
}

/// `policy`: group-relative policy optimisation.
package struct PolicyParam: Sendable {
  package let rewards: [RewardParam]
  package let prompts: Int
  package let completions: Int
  package let maxTokens: Int
  package let temperature: Double
  package let scaling: String
  package let combination: String
  package let dropEqualPrompts: Bool
  package let normalisation: String
  package let clip: Double
  package let clipHigh: Double?
  package let divergenceWeight: Double
  package let estimator: String
  package let correctBias: Bool
  package let teacherWeight: Double
  package let teacherDiscount: Double
  package let skipTruncated: Bool
  package let iterations: Int

  init(_ fields: inout JSONFields) throws(JSONFieldError) {
    rewards = try fields.rewards("rewards")
    prompts = try fields.int("prompts", in: 1...4096, default: 4)
    completions = try fields.int("completions", in: 2...4096, default: 8)
    maxTokens = try fields.int("maxTokens", in: 1...(1 << 20), default: 64)
    temperature = try fields.double("temperature", in: 0.01...100, default: 1)
    scaling = try fields.optionalString("scaling", oneOf: ["group", "batch", "none"]) ?? "group"
    combination = try fields.optionalString("combination", oneOf: ["sum", "normalised-sum"]) ?? "sum"
    dropEqualPrompts = try fields.bool("dropEqualPrompts", default: false)
    normalisation = try fields.optionalString("normalisation", oneOf: ["grpo", "dapo", "dr-grpo"]) ?? "dapo"
    clip = try fields.double("clip", in: 0.001...0.999, default: 0.2)
    clipHigh = try fields.optionalDouble("clipHigh", in: 0.001...1000)
    divergenceWeight = try fields.double("divergenceWeight", in: 0...1e6, default: 0)
    estimator = try fields.optionalString("estimator", oneOf: ["k1", "k2", "k3"]) ?? "k3"
    correctBias = try fields.bool("correctBias", default: false)
    teacherWeight = try fields.double("teacherWeight", in: 0...1e6, default: 0)
    teacherDiscount = try fields.double("teacherDiscount", in: 0...1, default: 0)
    skipTruncated = try fields.bool("skipTruncated", default: false)
    iterations = try fields.int("iterations", in: 1...256, default: 1)
    try fields.finish()
  }
}
