// Structured pruning over the protocol, from scores of units to a smaller model on disk and back.

import JSON
import JSONRPC
import PipeClient
import TestSupport
import Testing

@testable import Server

@Suite struct UnitConversationTests {
  /// A session with the built-in model as `a` and a dataset `d`.
  private static func session() throws -> (server: TestServer, client: Client) {
    let server = try TestServer()
    let client = try Client(reading: server.output, writing: server.input)
    try client.initialize()
    _ = try client.call("model/load", ["source": "builtin:sapling", "name": "a"], within: 60)
    _ = try client.call(
      "dataset/load",
      ["path": "builtin:sapling/evaluation", "model": "a", "name": "d", "sequenceLength": 32, "sequences": 2],
      within: 60)
    return (server, client)
  }

  private static func nll(_ client: Client, _ model: String) throws -> Double {
    try #require(
      try client.call("evaluate/perplexity", ["model": .string(model), "dataset": "d"], within: 60)["nll"]?.number)
  }

  @Test func fromScoresToASmallerModel() throws {
    let (_, client) = try Self.session(), folder = TemporaryFolder()
    let scored = try client.call(
      "importance/score", ["model": "a", "plugin": "magnitude", "unit": "width"], within: 60)
    let described = try client.call("model/describe", ["model": "a"], within: 60)
    let layers = try #require(described["layerSummary"]?.array)
    #expect(scored["unit"] == "width" && scored["tensors"] == [])
    #expect(scored["units"]?.array?.count == 2 * layers.count)
    let scores = try #require(scored["scores"])
    let values = try client.call("importance/query", ["scores": scores, "layer": 1], within: 60)
    let counts = try #require(values["units"]?.array).map { $0["values"]?.array?.count }
    #expect(counts == [layers[1]["heads"]?.integer, layers[1]["neurons"]?.integer])
    #expect(try client.call("importance/list", nil, within: 60)["scores"]?.array?.count == 1)

    let applied = try client.call("mask/apply", ["model": "a", "scores": scores, "sparsity": 0.5], within: 60)
    let cut = try #require(applied["units"]?.array)
    let neurons = try #require(layers[0]["neurons"]?.integer)
    #expect(cut.first { $0["unit"] == "neuron" }?["cut"]?.integer == neurons / 2)
    // A smaller ratio afterwards counts from what was scored, not from what is masked.
    let less = try client.call("mask/apply", ["model": "a", "scores": scores, "sparsity": 0.25], within: 60)
    #expect(less["revision"] == "r2")
    #expect(try #require(less["sparsity"]?.number) < #require(applied["sparsity"]?.number))

    let shrunk = try client.call("prune/shrink", ["model": "a", "name": "b"], within: 60)
    #expect(shrunk["shrunkFrom"] == ["model": "a", "revision": "r2"] && shrunk["revision"] == "r0")
    let parameters = try #require(shrunk["parameters"]?.integer)
    #expect(parameters < (described["parameters"]?.integer ?? 0))
    #expect(shrunk["parametersBefore"] == described["parameters"])
    #expect(shrunk["layerWidths"]?.array?.first?["neurons"]?.integer == neurons - neurons / 4)
    let masked = try Self.nll(client, "a"), small = try Self.nll(client, "b")
    #expect(abs(masked - small) < 1e-5)

    let about = try client.call("model/describe", ["model": "b"], within: 60)
    #expect(about["shrunkFrom"] == shrunk["shrunkFrom"] && about["originalLayers"] == shrunk["originalLayers"])
    #expect(about["layerSummary"]?.array?.first?["neurons"] == shrunk["layerWidths"]?.array?.first?["neurons"])
    #expect(described["shrunkFrom"] == .null)
    _ = try client.call("model/export", ["model": "b", "path": .string(folder.file("b")), "format": "hf"], within: 60)
    let loaded = try client.call("model/load", ["source": .string(folder.file("b")), "name": "c"], within: 60)
    #expect(loaded["parameters"]?.integer == parameters && loaded["architecture"] == described["architecture"])
    #expect(try Self.nll(client, "c") == small)

    let gone = try client.call("model/unload", ["model": "a"], within: 60)
    #expect(gone["discardedScores"] == [scores])
    #expect(try Self.nll(client, "b") == small, "a shrunk model lives on its own")
  }

  @Test func layersByHand() throws {
    let (_, client) = try Self.session()
    let before = try #require(try client.call("model/describe", ["model": "a"], within: 60)["layers"]?.integer)
    let channels: JSON = [0, 3, 5, 8, 11, 20]  // as many as there are heads, which have to divide what is left
    _ = try client.call(
      "mask/edit", ["model": "a", "edits": [["op": "prune", "layers": [1]], ["op": "prune", "channels": channels]]],
      within: 60)
    let diff = try client.call("mask/diff", ["model": "a", "from": "r0"], within: 60)
    let names = try #require(diff["tensors"]?.array).compactMap { $0["tensor"]?.string }
    #expect(names.contains { $0.contains("embed_tokens") }, "masks of embeddings are seen")
    let shrunk = try client.call("prune/shrink", ["model": "a"], within: 60)
    #expect(shrunk["model"] == "a-shrunk" && shrunk["layers"]?.integer == before - 1)
    #expect(shrunk["originalLayers"] == JSON((0..<before).filter { $0 != 1 }) && shrunk["standard"] == true)
    #expect(abs(try Self.nll(client, "a") - Self.nll(client, "a-shrunk")) < 1e-5)
  }

  @Test func wrongRequestsAreRefused() throws {
    let (_, client) = try Self.session()
    let units = try #require(
      try client.call("importance/score", ["model": "a", "plugin": "magnitude", "unit": "layer"], within: 60)["scores"])
    let weights = try #require(
      try client.call("importance/score", ["model": "a", "plugin": "magnitude"], within: 60)["scores"])
    let table: [(String, JSON, String)] = [
      ("importance/score", ["model": "a", "plugin": "magnitude", "unit": "head", "modules": ["*"]], "unitRequestInvalid"),
      ("importance/score", ["model": "a", "plugin": "wanda", "unit": "head"], "datasetRequired"),
      ("importance/score", ["model": "a", "plugin": "none-such", "unit": "head"], "pluginNotFound"),
      ("importance/query", ["scores": units, "tensor": "t", "topK": 1], "unitRequestInvalid"),
      ("importance/query", ["scores": units, "layer": 0], "unitRequestInvalid"),
      ("importance/query", ["scores": weights], "missingField"),
      ("importance/compare", ["a": units, "b": weights, "sparsity": 0.5], "unitRequestInvalid"),
      ("mask/apply", ["model": "a", "scores": units, "pattern": "2:4"], "unitRequestInvalid"),
      ("mask/apply", ["model": "a", "scores": units, "sparsity": 0.5, "group": "row"], "unitRequestInvalid"),
      ("mask/apply", ["model": "a", "scores": units, "sparsity": 0.5, "modules": ["*"]], "unitRequestInvalid"),
      ("mask/apply", ["model": "a", "scores": weights, "sparsity": 0.5, "uniform": true], "outOfRange"),
      ("prune/shrink", ["model": "a", "name": "a"], "modelExists"),
      ("prune/shrink", ["model": "a", "residualHeads": true, "scores": weights], "unitRequestInvalid"),
      ("prune/shrink", ["model": "a", "residualHeads": true, "scores": "u9"], "scoresNotFound"),
      ("prune/shrink", ["model": "a", "revision": "r9"], "revisionNotFound"),
      ("prune/shrink", ["model": "x"], "modelNotFound"),
    ]
    for (method, params, kind) in table {
      #expect(try client.refusal(method, params)?.kind == kind, "\(method)")
    }
    #expect(try client.call("importance/discard", ["scores": units], within: 60)["discarded"] == true)
    #expect(try client.refusal("importance/query", ["scores": units])?.kind == "scoresNotFound")
    #expect(try client.call("revision/log", ["model": "a"], within: 60)["current"] == "r0")
  }
}
