// prune/preview over the pipe: it answers what a pruning would do, and nothing changes.

import JSON
import JSONRPC
import PipeClient
import Testing

@testable import Server

@Suite struct PreviewServerTests {
  @Test func nothingChanges() throws {
    let (server, client) = try evaluationSession()
    _ = try client.call("mask/edit", ["model": "a", "edits": [["op": "prune", "layer": 0, "heads": [1]]]], within: 20)
    func state() throws -> [JSON?] {
      let log = try client.call("revision/log", ["model": "a"], within: 20)
      let masks = try client.call("mask/get", ["model": "a"], within: 20)
      let loss = try client.call("evaluate/perplexity", ["model": "a", "dataset": "short"], within: 60)
      return [log, masks, loss["nll"]]
    }
    let before = try state()
    let result = try client.call(
      "prune/preview",
      ["model": "a", "plugin": "wanda", "dataset": "other", "sparsities": [0.5, 0.9], "patterns": ["2:4"]], within: 60)
    let previews = try #require(result["previews"]?.array)
    #expect(previews.map { $0["target"] } == ["0.5", "0.9", "2:4"])
    #expect(previews.allSatisfy { $0["tensors"]?.array?.count == 42 })
    let errors = previews.compactMap { $0["outputError"]?.number }
    #expect(errors[0] > 0 && errors[1] > errors[0] && errors[2] > errors[0])
    let dense = try #require(previews[0]["bytes"]?["dense"]?.integer)
    #expect((previews[0]["bytes"]?["bitmask"]?.integer ?? .max) < dense)
    #expect(previews[1]["predictedForwardSpeedup"]?["bitmask"]?.number == 1)
    #expect((previews[1]["predictedDecodingSpeedup"]?["bitmask"]?.number ?? 0) > 1)
    #expect(result["statisticsReused"] == false && result["revision"] == "r1")
    _ = try client.call(
      "prune/preview",
      ["model": "a", "dataset": "other", "edits": [["op": "prune", "layer": 3, "neurons": [0, 1, 2]]]], within: 60)
    #expect(try state() == before)
    try client.end(within: 20)
    #expect(server.exitCode() == 0)
  }

  /// A preview of one tensor tells what the pruning then does, and knows the statistics the second time.
  @Test func tellsWhatAPruningDoes() throws {
    let (_, client) = try evaluationSession()
    let request: JSON = [
      "model": "a", "plugin": "wanda", "dataset": "other", "modules": ["model.layers.4.mlp.up_proj.weight"],
    ]
    let preview = with(request, ["sparsities": [0.25]])
    _ = try client.call("prune/preview", preview, within: 60)
    let warm = try client.call("prune/preview", preview, within: 60)
    #expect(warm["statisticsReused"] == true)
    let told = try #require(warm["previews"]?.array?.first?["tensors"]?.array?.first)
    let run = try client.call("prune/run", with(request, ["sparsity": 0.25, "sequential": false]), within: 60)
    #expect(run["perTensor"]?.array?.first?["sparsity"] == told["sparsity"])
    // What an allocation gives each tensor too.
    let shared: JSON = [
      "model": "a", "plugin": "wanda", "dataset": "other", "modules": ["*.layers.4.*", "*.layers.5.*"],
      "allocation": ["plugin": "owl", "modules": ["*.layers.4.self_attn.*": 0.25]],
    ]
    let allocated = try client.call("prune/preview", with(shared, ["revision": "r0", "sparsities": [0.5]]), within: 60)
    let tensors = try #require(allocated["previews"]?.array?.first?["tensors"]?.array).map { $0["sparsity"] }
    _ = try client.call("revision/checkout", ["model": "a", "target": "r0"], within: 60)
    let pruned = try client.call("prune/run", with(shared, ["sparsity": 0.5, "sequential": false]), within: 60)
    #expect(pruned["perTensor"]?.array?.map { $0["sparsity"] } == tensors && Set(tensors.map { $0?.number }).count >= 3)
    try client.end(within: 20)
  }

  @Test(arguments: [
    (
      #"{"model": "b", "dataset": "short", "edits": [{"op": "prune", "layer": 0, "heads": [0]}]}"#,
      Refusal(-32803, "modelNotFound")
    ),
    (
      #"{"model": "a", "dataset": "short", "edits": [{"op": "prune", "layer": 9, "heads": [0]}]}"#,
      Refusal(-32803, "editInvalid")
    ),
    (
      #"{"model": "a", "dataset": "short", "plugin": "wanda", "sparsities": [0.5], "modules": ["x"]}"#,
      Refusal(-32803, "modulesMatchNothing")
    ),
    (
      #"{"model": "a", "dataset": "short", "plugin": "wanda", "patterns": ["2:5"]}"#,
      Refusal(-32803, "patternDoesNotDivide")
    ),
    (#"{"model": "a", "dataset": "short", "plugin": "wanda", "patterns": ["5:2"]}"#, Refusal(-32602, "patternInvalid")),
    (#"{"model": "a", "dataset": "short", "plugin": "none", "sparsities": [0.5]}"#, Refusal(-32803, "pluginNotFound")),
    (
      #"{"model": "a", "dataset": "short", "plugin": "wanda", "sparsities": [0.5], "group": "global", "allocation": "owl"}"#,
      Refusal(-32803, "allocationInvalid")
    ),
    (
      #"{"model": "a", "dataset": "short", "plugin": "wanda", "sparsities": [0.9], "allocation": {"modules": {"*.mlp.*": 0}}}"#,
      Refusal(-32803, "allocationInvalid")
    ),
    (
      #"{"model": "a", "dataset": "short", "plugin": "wanda", "sparsities": [0.5], "allocation": {"plugin": "sensitivity", "sensitivity": "v1"}}"#,
      Refusal(-32803, "sensitivityNotFound")
    ),
    (#"{"model": "a", "dataset": "short", "plugin": "wanda"}"#, Refusal(-32602, "missingField")),
    (#"{"model": "a", "dataset": "short"}"#, Refusal(-32602, "missingField")),
    (#"{"model": "a", "plugin": "wanda", "sparsities": [0.5]}"#, Refusal(-32602, "missingField")),
    (#"{"model": "a", "dataset": "short", "plugin": "wanda", "sparsities": [2]}"#, Refusal(-32602, "outOfRange")),
    (#"{"model": "a", "dataset": "short", "edits": []}"#, Refusal(-32602, "outOfRange")),
    (
      #"{"model": "a", "dataset": "short", "edits": [{"op": "prune", "tensor": "t"}], "plugin": "wanda"}"#,
      Refusal(-32602, "unknownField")
    ),
    (
      #"{"model": "a", "dataset": "short", "plugin": "wanda", "parameters": {"x": 1}, "sparsities": [0.5]}"#,
      Refusal(-32602, "unknownField")
    ),
  ])
  func refused(params: String, refusal: Refusal) throws {
    let (_, client) = try evaluationSession()
    #expect(try client.refusal("prune/preview", JSON.parse(params)) == refusal)
    try client.end(within: 20)
  }
}
