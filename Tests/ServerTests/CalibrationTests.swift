// What a revision was calibrated on does not judge it: evaluations on the same text say so, on others they do not.

import JSON
import JSONRPC
import PipeClient
import TestSupport
import Testing

@testable import Server

@Suite struct CalibrationServerTests {
  /// The kinds of diagnostics of evaluations of the model `a` on the text, of three methods that must agree.
  private static func said(_ client: Client, _ model: JSON = "a", on dataset: JSON) throws -> [JSON] {
    let question: JSON = ["model": model, "dataset": dataset]
    let answers = [
      try client.call("evaluate/perplexity", question, within: 60),
      try client.call("evaluate/divergence", with(question, ["reference": ["model": "dense"]]), within: 60),
      try client.call("evaluate/sensitivity", with(question, ["unit": "layer", "layers": [5]]), within: 60),
    ]
    let kinds = try answers.map { answer in
      try #require(answer["diagnostics"]?.array).map { $0["kind"] ?? .null }
    }
    #expect(kinds[0] == kinds[1] && kinds[0] == kinds[2])
    return kinds[0]
  }

  private static let flattered: [JSON] = ["calibrationIsEvaluation"]

  private static func session() throws -> Client {
    let (_, client) = try evaluationSession()
    _ = try client.call("model/load", ["source": "builtin:sapling", "name": "dense"], within: 60)
    return client
  }

  @Test func whatPruningsWereCalibratedOn() throws {
    let client = try Self.session()
    let run: JSON = ["model": "a", "plugin": "wanda", "sparsity": 0.5, "dataset": "other"]
    #expect(try Self.said(client, on: "other") == [])
    _ = try client.call("prune/run", run, within: 60)
    #expect(try Self.said(client, on: "other") == Self.flattered)
    #expect(try Self.said(client, on: "short") == [])
    // What comes out of the revision is as biased; what it came out of is not.
    _ = try client.call("mask/edit", ["model": "a", "edits": [["op": "prune", "layer": 0, "heads": [0]]]], within: 60)
    #expect(try Self.said(client, on: "other") == Self.flattered)
    _ = try client.call("revision/checkout", ["model": "a", "target": "r0"], within: 60)
    #expect(try Self.said(client, on: "other") == [])
    // Data that are given and not looked at decide nothing.
    _ = try client.call("prune/run", with(run, ["plugin": "magnitude", "sequential": true]), within: 60)
    #expect(try Self.said(client, on: "other") == [])
    // An allocator's data count as well.
    _ = try client.call("prune/run", with(run, ["plugin": "magnitude", "allocation": "owl"]), within: 60)
    #expect(try Self.said(client, on: "other") == Self.flattered)
    try client.end(within: 20)
  }

  @Test func whatScoresWereCalibratedOn() throws {
    let client = try Self.session(), folder = TemporaryFolder()
    func score(_ plugin: JSON, _ more: JSON) throws -> JSON {
      let params = with(["model": "a", "plugin": plugin, "modules": ["*.layers.5.*"]], more)
      return try #require(try client.call("importance/score", params, within: 60)["scores"])
    }
    func apply(_ scores: JSON, _ more: JSON = [:]) throws {
      _ = try client.call("revision/checkout", ["model": "a", "target": "r0"], within: 60)
      _ = try client.call("mask/apply", with(["model": "a", "scores": scores, "sparsity": 0.5], more), within: 60)
    }
    let wanda = try score("wanda", ["dataset": "other"])
    try apply(wanda)
    #expect(try Self.said(client, on: "other") == Self.flattered)
    #expect(try Self.said(client, on: "short") == [])
    // Files of masks and smaller models know it still.
    let path = JSON(folder.path + "/masks.safetensors")
    _ = try client.call("mask/save", ["model": "a", "path": path], within: 60)
    _ = try client.call("revision/checkout", ["model": "a", "target": "r0"], within: 60)
    _ = try client.call("mask/load", ["model": "a", "path": path], within: 60)
    #expect(try Self.said(client, on: "other") == Self.flattered)
    _ = try client.call("prune/shrink", ["model": "a", "name": "small"], within: 60)
    #expect(try Self.said(client, "small", on: "other") == Self.flattered)
    // Scores that went into others; a curve of losses.
    try apply(try score("mama", ["dataset": "short", "terms": ["reward": wanda]]))
    #expect(try Self.said(client, on: "other") == Self.flattered)
    #expect(try Self.said(client, on: "short") == Self.flattered)
    let magnitude = try score("magnitude", [:])
    try apply(magnitude)
    #expect(try Self.said(client, on: "short") == [])
    _ = try client.call(
      "evaluate/sensitivity",
      ["model": "a", "revision": "r0", "plugin": "magnitude", "dataset": "short", "sparsities": [0.5], "layers": [5]],
      within: 60)
    let handles = try client.call(
      "evaluate/sensitivity",
      ["model": "a", "revision": "r0", "plugin": "magnitude", "dataset": "short", "sparsities": [0.9], "layers": [5]],
      within: 60)
    try apply(
      magnitude, ["allocation": ["plugin": "sensitivity", "sensitivity": try #require(handles["sensitivity"])]])
    #expect(try Self.said(client, on: "short") == Self.flattered)
    #expect(try Self.said(client, on: "other") == [])
    try client.end(within: 20)
  }

  /// Scores of a model that was unloaded meanwhile are not kept for the next model of its name.
  @Test func scoresOfAModelThatIsGone() throws {
    let server = try TestServer()
    let client = try Client(reading: server.output, writing: server.input)
    try client.initialize()
    for plugin in ["wanda", "fluctuation"] {
      _ = try client.call("model/load", ["source": "builtin:sapling", "name": "a"], within: 60)
      _ = try client.call(
        "dataset/load",
        [
          "path": "builtin:sapling/calibration", "model": "a", "sequenceLength": 128, "sequences": 16,
          "name": .string(plugin),
        ], within: 60)
      let params: JSON = ["model": "a", "plugin": .string(plugin), "dataset": .string(plugin)]
      let scoring = try client.start(
        "importance/score", plugin == "wanda" ? params : with(params, ["unit": "width"]), within: 20)
      _ = try client.call("model/unload", ["model": "a"], within: 60)
      _ = try client.call("model/load", ["source": "builtin:sapling", "name": "a"], within: 60)
      do throws(PipeClientError) {
        _ = try scoring.result(within: 60)
        Issue.record("the model was to be gone before the scores were there")
      } catch {
        guard case .refused(let refusal, _) = error else { throw error }
        #expect(refusal.kind == "modelNotFound")
      }
      #expect(try client.call("importance/list", nil, within: 20)["scores"] == [])
      _ = try client.call("model/unload", ["model": "a"], within: 60)
    }
    try client.end(within: 20)
  }
}
