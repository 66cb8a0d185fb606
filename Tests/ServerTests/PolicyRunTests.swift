// Runs that learn from rewards, over the pipe: alone and beside objectives, repeatable, with all that can be asked.

import JSON
import JSONRPC
import PipeClient
import Testing

@testable import Server

@Suite struct PolicyRunTests {
  /// Two vowels in a row: something that the model sometimes does.
  static let vowels: JSON = ["plugin": "format-regex", "parameters": ["pattern": "(?i)[aeiou]{2}", "match": "part"]]
  static let policy: JSON = ["rewards": [vowels], "prompts": 2, "completions": 6, "maxTokens": 6]

  static func start(_ name: String, _ policy: JSON, _ more: JSON = [:]) -> JSON {
    with(
      [
        "name": .string(name), "student": "a", "dataset": "sums", "steps": 4, "policy": policy,
        "schedule": ["shape": "constant", "learningRate": 1e-4, "warmupSteps": 0],
      ], more)
  }

  /// The metrics of some steps of a run that begins here.
  static func run(
    _ client: Client, _ name: String, _ policy: JSON, _ more: JSON = [:], steps: Int = 1
  ) throws -> [JSON] {
    _ = try client.call("distill/start", start(name, policy, more), within: 60)
    return try (0..<steps).map { _ in
      try #require(try client.call("distill/step", ["run": .string(name), "steps": 1], within: 60)["metrics"])
    }
  }

  @Test func rewardsAreTold() throws {
    let (server, client) = try RewardScoringTests.session()
    let steps = try Self.run(client, "one", Self.policy, steps: 2)
    for metrics in steps {
      let rewards = try #require(metrics["rewards"])
      let reward = try #require(rewards["reward"]?.number), tokens = try #require(rewards["completionTokens"]?.number)
      #expect((0...1).contains(reward) && rewards["reward.format-regex"]?.number == reward)
      #expect((1...6).contains(tokens) && metrics["tokens"]?.integer == Int((12 * tokens).rounded()))
      #expect(metrics["parts"]?["policy.ratio"]?.number == 1 && metrics["parts"]?["policy.clipped"]?.number == 0)
      #expect(try #require(metrics["parts"]?["policy.entropy"]?.number) > 0)
    }
    // The same once more, and something else for another seed.
    let again = try Self.run(client, "two", Self.policy, steps: 2)
    for (a, b) in zip(steps, again) {
      #expect(a["rewards"] == b["rewards"] && a["loss"] == b["loss"] && a["gradientNorm"] == b["gradientNorm"])
    }
    let other = try Self.run(client, "three", Self.policy, ["seed": 1], steps: 2)
    #expect(other.map { $0["gradientNorm"] } != steps.map { $0["gradientNorm"] })
    withExtendedLifetime(server) {}
  }

  /// Several steps on the same completions, away from a reference, with a teacher's opinion.
  @Test func everythingAtOnce() throws {
    let (server, client) = try RewardScoringTests.session()
    let more: JSON = [
      "iterations": 2, "divergenceWeight": 0.1, "estimator": "k3", "correctBias": true, "teacherWeight": 0.5,
      "teacherDiscount": 0.9, "normalisation": "dr-grpo", "scaling": "none", "clipHigh": 0.28, "temperature": 1.2,
      "skipTruncated": false, "rewards": [Self.vowels, ["plugin": "teacher-likelihood", "weight": 0.1]],
    ]
    let steps = try Self.run(client, "all", with(Self.policy, more), steps: 3)
    let last = try #require(steps.last)
    let ratio = try #require(last["parts"]?["policy.ratio"]?.number)
    #expect(abs(ratio - 1) < 0.5 && ratio != 1)
    #expect(try #require(last["parts"]?["policy.divergence"]?.number) > 0)
    #expect(try #require(last["rewards"]?["reward.teacher-likelihood"]?.number) < 0)
    withExtendedLifetime(server) {}
  }

  /// An objective on the same rows adds its loss and its gradient.
  @Test func besideAnObjective() throws {
    let (server, client) = try RewardScoringTests.session()
    let alone = try Self.run(client, "alone", Self.policy)[0]
    let both = try Self.run(
      client, "both", Self.policy, ["objectives": [["plugin": "cross-entropy", "weight": 0.5]]])[0]
    let entropy = try #require(both["parts"]?["cross-entropy"]?.number)
    #expect(both["rewards"] == alone["rewards"] && both["gradientNorm"] != alone["gradientNorm"] && entropy > 0)
    let (a, b) = (try #require(alone["loss"]?.number), try #require(both["loss"]?.number))
    #expect(abs(b - a - 0.5 * entropy) < 1e-6)
    withExtendedLifetime(server) {}
  }

  /// A step in which all completions are alike moves nothing, and the run goes on.
  @Test(arguments: [false, true])
  func nothingToLearn(drops: Bool) throws {
    let (server, client) = try RewardScoringTests.session()
    let policy: JSON = with(Self.policy, ["rewards": ["length"], "dropEqualPrompts": .bool(drops)])
    // Or all are cut off, and those do not count.
    let short: JSON = with(Self.policy, ["maxTokens": 1, "skipTruncated": true])
    for (name, policy) in [("flat", policy), ("short", short)] {
      for metrics in try Self.run(client, name, policy, steps: 2) {
        #expect(metrics["loss"]?.number == 0 && metrics["gradientNorm"]?.number == 0, "\(name)")
      }
    }
    withExtendedLifetime(server) {}
  }

  @Test func whatIsRefused() throws {
    let (server, client) = try RewardScoringTests.session()
    let refusals: [(JSON, Refusal)] = [
      (["rewards": []], Refusal(-32602, "outOfRange")), (["rewards": ["wanda"]], Refusal(-32803, "pluginOfOtherKind")),
      (["completions": 1], Refusal(-32602, "outOfRange")), (["clip": 0], Refusal(-32602, "outOfRange")),
      (["estimator": "k4"], Refusal(-32602, "outOfRange")), (["unknown": 1], Refusal(-32602, "unknownField")),
      (["rewards": [["plugin": "length", "weight": 0]]], Refusal(-32803, "policyOptionsInvalid")),
    ]
    for (change, refusal) in refusals {
      let request = Self.start("x", with(Self.policy, change))
      #expect(try client.refusal("distill/start", request) == refusal, "\(change)")
    }
    let request = with(Self.start("x", Self.policy), ["dataset": "short"])
    #expect(try client.refusal("distill/start", request)?.code == -32803)
    withExtendedLifetime(server) {}
  }
}
