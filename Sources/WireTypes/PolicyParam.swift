// How distill/start has a student learn from text that it writes itself: taught by a teacher, or judged by rewards.

import JSON

/// `onPolicy`: {fraction?, promptTokens?, maxTokens?, temperature?, adaptive?}.
package struct OnPolicyParam: Sendable {
  package let fraction: Double
  package let promptTokens: Int
  package let maxTokens: Int
  package let temperature: Double
  /// Nil: the fraction stays.
  package let adaptive: AdaptiveParam?

  init(_ fields: inout JSONFields) throws(JSONFieldError) {
    adaptive = try fields.optionalFields("adaptive").map { (section) throws(JSONFieldError) in
      var section = section
      return try AdaptiveParam(&section)
    }
    fraction = try fields.double("fraction", in: 0...1, default: adaptive == nil ? 0.5 : 0)
    promptTokens = try fields.int("promptTokens", in: 1...(1 << 20), default: 32)
    maxTokens = try fields.int("maxTokens", in: 1...(1 << 20), default: 128)
    temperature = try fields.double("temperature", in: 0.01...100, default: 1)
    try fields.finish()
  }
}

/// `adaptive`: {rise?, tolerance?, memory?}.
package struct AdaptiveParam: Sendable {
  package let rise: Double
  package let tolerance: Double
  package let memory: Int

  init(_ fields: inout JSONFields) throws(JSONFieldError) {
    rise = try fields.double("rise", in: 0...1, default: 0.1)
    tolerance = try fields.double("tolerance", in: 0...100, default: 0.1)
    memory = try fields.int("memory", in: 1...100_000, default: 1000)
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
