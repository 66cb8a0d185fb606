// The arithmetic task as a dataset, and importance/score by rewards over it, over the pipe.

import JSON
import JSONRPC
import PipeClient
import Testing

@testable import Server

@Suite struct RewardScoringTests {
  /// A session with the built-in model as `a` and eight sums as `sums`.
  static func session() throws -> (server: TestServer, client: Client) {
    let (server, client) = try evaluationSession()
    _ = try client.call("dataset/load", sums, within: 60)
    return (server, client)
  }

  static let sums: JSON = [
    "path": "builtin:arithmetic", "model": "a", "sequenceLength": 16, "name": "sums", "task": ["count": 8, "seed": 3],
  ]
  /// A reward that even a model which cannot add differs in.
  static let request: JSON = [
    "model": "a", "plugin": "reward", "dataset": "sums",
    "reward": [
      "rewards": [
        ["plugin": "length", "parameters": ["form": "target", "target": 3, "scale": 8], "weight": 0.5],
        ["plugin": "format-regex", "parameters": ["pattern": "(?i)[aeiou]{2}", "match": "part"]],
      ], "prompts": 2, "completions": 8, "maxTokens": 8, "seed": 5,
    ],
  ]

  @Test func sumsAreADataset() throws {
    let (server, client) = try Self.session()
    let again = try client.call("dataset/load", with(Self.sums, ["name": "again"]), within: 60)
    #expect(again["source"] == "builtin:arithmetic" && again["sequences"] == 8)
    #expect(again["documents"]?["examples"] == 8)
    let list = try client.call("dataset/list")["datasets"]?.array
    #expect(list?.first { $0["dataset"] == "sums" }?["digest"] == again["digest"])
    let other = try client.call(
      "dataset/load",
      with(Self.sums, ["name": "minus", "task": ["count": 8, "seed": 4, "operations": ["subtraction"]]]), within: 60)
    #expect(other["digest"] != again["digest"])
    let tasks: [(JSON, Refusal)] = [
      (["count": 101], Refusal(-32803, "tasksExhausted")), (["count": 0], Refusal(-32602, "outOfRange")),
      (["digits": 5], Refusal(-32602, "outOfRange")), (["operations": ["division"]], Refusal(-32602, "outOfRange")),
      (["operations": []], Refusal(-32602, "outOfRange")), (["cuont": 3], Refusal(-32602, "unknownField")),
    ]
    for (task, refusal) in tasks {
      #expect(try client.refusal("dataset/load", with(Self.sums, ["name": "x", "task": task])) == refusal, "\(task)")
    }
    #expect(
      try client.refusal("dataset/load", with(Self.sums, ["name": "x", "format": "text"]))
        == Refusal(-32602, "outOfRange"))
    #expect(
      try client.refusal("dataset/load", with(Self.sums, ["name": "x", "path": "builtin:sapling/evaluation"]))
        == Refusal(-32602, "outOfRange"))
    #expect(
      try client.refusal(
        "dataset/load", ["path": "builtin:algebra", "model": "a", "sequenceLength": 16])
        == Refusal(-32803, "builtinNotFound"))
    withExtendedLifetime(server) {}
  }

  @Test func scoresByRewards() throws {
    let (server, client) = try Self.session(), modules: JSON = ["modules": ["*.down_proj.*"]]
    let request = with(Self.request, modules)
    let result = try client.call("importance/score", request, within: 120)
    #expect(result["plugin"] == "reward" && result["unit"] == "weight" && result["group"] == "row")
    #expect(result["reward"]?["completions"] == 16)
    #expect(result["tensors"]?.array?.count == 6)
    #expect(result["parameters"]?["length.weight"] == 0.5 && result["parameters"]?["format-regex.match"] == "part")
    let repeated = try client.call("importance/score", request, within: 120)
    #expect(repeated["tensors"] == result["tensors"] && repeated["reward"] == result["reward"])
    // What it is for: the reward term of MAMA, and masks.
    let scores = try #require(result["scores"])
    let mama = with(["model": "a", "plugin": "mama"], modules)
    let mixed = try client.call("importance/score", with(mama, ["terms": ["reward": scores]]), within: 60)
    let plain = try client.call("importance/score", mama, within: 60)
    #expect(mixed["tensors"] != plain["tensors"])
    let units = try client.call("importance/score", with(Self.request, ["unit": "neuron"]), within: 120)
    #expect(units["units"]?.array?.count == 6 && units["reward"] == result["reward"])
    withExtendedLifetime(server) {}
  }

  static let refusals: [(JSON, Refusal)] = [
    (["reward": nil], Refusal(-32602, "missingField")),
    (["dataset": "short"], Refusal(-32803, "promptsMissing")),
    (["dataset": "nothing"], Refusal(-32803, "datasetNotFound")),
    (["parameters": ["x": 1]], Refusal(-32602, "outOfRange")),
    (["training": ["steps": 1, "learningRate": 0.1]], Refusal(-32803, "termsInvalid")),
    (["plugin": "magnitude"], Refusal(-32602, "outOfRange")),
    (["reward": ["rewards": []]], Refusal(-32602, "outOfRange")),
    (["reward": ["rewards": ["magnitude"]]], Refusal(-32803, "pluginOfOtherKind")),
    (["reward": ["rewards": ["nothing"]]], Refusal(-32803, "pluginNotFound")),
    (["reward": ["rewards": [["plugin": "length", "parameters": ["x": 1]]]]], Refusal(-32602, "unknownField")),
    (["reward": ["rewards": ["length"], "completions": 1]], Refusal(-32602, "outOfRange")),
    (["reward": ["rewards": ["length"], "prompts": 9]], Refusal(-32803, "promptsMissing")),
    (["reward": ["rewards": ["teacher-likelihood"]]], Refusal(-32803, "teacherMissing")),
    (["reward": ["rewards": ["length"], "teacher": "b"]], Refusal(-32803, "modelNotFound")),
    (
      ["reward": ["rewards": [["plugin": "format-regex", "parameters": ["pattern": "("]]], "maxTokens": 2]],
      Refusal(-32803, "pluginFailed")
    ),
    // All completions are shorter than the maximum.
    (["reward": ["rewards": ["length"], "maxTokens": 2]], Refusal(-32803, "rewardsAllEqual")),
    (["unit": "head", "modules": ["*"]], Refusal(-32803, "unitRequestInvalid")),
  ]

  @Test func whatIsRefused() throws {
    let (server, client) = try Self.session()
    for (change, refusal) in Self.refusals {
      var request = with(Self.request, change)
      if change["reward"] == .null, var object = request.object {
        object["reward"] = nil
        request = .object(object)
      }
      #expect(try client.refusal("importance/score", request) == refusal, "\(change)")
    }
    #expect(
      try client.refusal("importance/score", ["model": "a", "plugin": "reward", "reward": ["rewards": ["length"]]])
        == Refusal(-32803, "datasetRequired"))
    withExtendedLifetime(server) {}
  }

  @Test func aTeacherJudges() throws {
    let (server, client) = try Self.session()
    _ = try client.call("model/load", ["source": "builtin:sapling", "name": "t"], within: 60)
    let result = try client.call(
      "importance/score",
      with(Self.request, ["reward": ["rewards": ["teacher-likelihood"], "maxTokens": 4, "teacher": "t"]]), within: 120)
    let mean = try #require(result["reward"]?["meanReward"]?.number)
    #expect(mean < 0 && mean > -10 && result["reward"]?["completions"] == 64)
    withExtendedLifetime(server) {}
  }
}
