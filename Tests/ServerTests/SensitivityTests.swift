// evaluate/sensitivity and evaluate/divergence over the pipe: streams, handles, cancellation, refusals.

import JSON
import JSONRPC
import PipeClient
import Testing

@testable import Server

/// A session with the built-in model as `a`, and the texts `short` and `other`.
func evaluationSession() throws -> (server: TestServer, client: Client) {
  let server = try TestServer()
  let client = try Client(reading: server.output, writing: server.input)
  try client.initialize()
  _ = try client.call("model/load", ["source": "builtin:sapling", "name": "a"], within: 60)
  for (name, text) in [("short", "evaluation"), ("other", "calibration")] {
    _ = try client.call(
      "dataset/load",
      [
        "path": .string("builtin:sapling/\(text)"), "model": "a", "sequenceLength": 64, "sequences": 4,
        "name": .string(name),
      ], within: 60)
  }
  return (server, client)
}

func with(_ params: JSON, _ more: JSON) -> JSON {
  var all = params.object ?? [:]
  for (key, value) in more.object ?? [:] { all[key] = value }
  return .object(all)
}

@Suite struct SensitivityServerTests {
  private static let request: JSON = [
    "model": "a", "plugin": "magnitude", "dataset": "short", "sparsities": [0.9, 0.5], "layers": [5, 3],
  ]

  @Test func partsMakeUpTheAnswer() throws {
    let (server, client) = try evaluationSession()
    var parts: [JSON] = []
    let result = try client.call(
      "evaluate/sensitivity", Self.request, within: 60,
      onPartialResult: { part in
        #expect(part["sensitivity"] == "v1")
        parts += part["points"]?.array ?? []
      })
    let points = try #require(result["points"]?.array)
    #expect(parts == points && points.count == 4)
    #expect(points.map { $0["layer"]?.integer } == [3, 3, 5, 5])
    #expect(points.map { $0["sparsity"]?.number } == [0.5, 0.9, 0.5, 0.9])
    let dense = try client.call("evaluate/perplexity", ["model": "a", "dataset": "short"], within: 60)
    let baseline = try #require(result["baselineLoss"]?.number)
    #expect(dense["nll"]?.number == baseline)
    for point in points {
      let loss = try #require(point["loss"]?.number)
      #expect(point["deltaLoss"]?.number == loss - baseline && loss != baseline)
    }
    #expect(result["complete"] == true && result["reusedPoints"] == 0 && result["diagnostics"] == [])
    // A later request of the same question knows the points, by its words or by the handle.
    let byHandle: JSON = ["model": "a", "sensitivity": "v1", "sparsities": [0.5, 0.9]]
    for params in [with(Self.request, ["layers": [3, 4]]), byHandle] {
      let again = try client.call("evaluate/sensitivity", params, within: 60)
      #expect(again["sensitivity"] == "v1")
      #expect(Array((again["points"]?.array ?? []).filter { $0["layer"] == 3 }) == Array(points.prefix(2)))
      #expect(again["reusedPoints"] == (params["sensitivity"] == nil ? 2 : 6))
    }
    let other = try client.call("evaluate/sensitivity", with(Self.request, ["window": 32]), within: 60)
    #expect(other["sensitivity"] == "v2" && other["reusedPoints"] == 0)
    try client.end(within: 20)
    #expect(server.exitCode() == 0)
  }

  @Test func leftOutLayersAndDiagnostics() throws {
    let (_, client) = try evaluationSession()
    let removed = try client.call(
      "evaluate/sensitivity", ["model": "a", "dataset": "short", "unit": "layer"], within: 60)
    let points = try #require(removed["points"]?.array)
    #expect(points.map { $0["layer"]?.integer } == [0, 1, 2, 3, 4, 5] && points.allSatisfy { $0["sparsity"]?.number == 1 })
    let wanda = with(Self.request, ["plugin": "wanda"])
    let flattered = try client.call("evaluate/sensitivity", wanda, within: 60)
    #expect(flattered["diagnostics"]?.array?.map { $0["kind"] } == ["calibrationIsEvaluation"])
    let fair = try client.call("evaluate/sensitivity", with(wanda, ["calibration": "other"]), within: 60)
    #expect(fair["diagnostics"] == [] && fair["sensitivity"] != flattered["sensitivity"])
    _ = try client.call("model/unload", ["model": "a"], within: 20)
    _ = try client.call("model/load", ["source": "builtin:sapling", "name": "a"], within: 60)
    #expect(
      try client.refusal("evaluate/sensitivity", ["model": "a", "sensitivity": "v1"])
        == Refusal(-32803, "sensitivityNotFound"))
    try client.end(within: 20)
  }

  @Test func aCancelledOneAnswersWithWhatItHas() throws {
    let (_, client) = try evaluationSession()
    _ = try client.call(
      "dataset/load",
      ["path": "builtin:sapling/evaluation", "model": "a", "sequenceLength": 128, "sequences": 16, "name": "long"],
      within: 60)
    let params: JSON = [
      "model": "a", "plugin": "magnitude", "dataset": "long",
      "sparsities": .array((1...60).map { JSON(Double($0) / 64) }),
    ]
    let call = try client.start("evaluate/sensitivity", params, sendsPartialResults: true)
    var refusal: ResponseError?, told = 0
    do throws(PipeClientError) {
      _ = try call.result(
        within: 60,
        onPartialResult: { part in
          told += part["points"]?.array?.count ?? 0
          call.cancel()
        })
    } catch {
      if case .refused(let error, _) = error { refusal = error }
    }
    #expect(refusal?.code == .requestCancelled && refusal?.kind == "cancelled")
    let points = refusal?.data?["points"]?.array ?? []
    #expect(told >= 1 && points.count >= told && points.count < 360)
    #expect(refusal?.data?["complete"] == false && refusal?.data?["sensitivity"] == "v1")
    let rest = try client.call(
      "evaluate/sensitivity", with(params, ["layers": [0], "sparsities": [0.015625]]), within: 60)
    #expect(rest["reusedPoints"] == 1 && rest["points"]?.array == Array(points.prefix(1)))
    try client.end(within: 20)
  }

  @Test(arguments: [
    (#"{"model": "b", "dataset": "short", "unit": "layer"}"#, Refusal(-32803, "modelNotFound")),
    (#"{"model": "a", "dataset": "none", "unit": "layer"}"#, Refusal(-32803, "datasetNotFound")),
    (#"{"model": "a", "dataset": "short", "plugin": "none"}"#, Refusal(-32803, "pluginNotFound")),
    (#"{"model": "a", "dataset": "short", "plugin": "wanda", "calibration": "x"}"#, Refusal(-32803, "datasetNotFound")),
    (#"{"model": "a", "dataset": "short", "plugin": "wanda", "layers": [6]}"#, Refusal(-32803, "layerNotFound")),
    (#"{"model": "a", "dataset": "short", "plugin": "wanda", "window": 65}"#, Refusal(-32803, "windowInvalid")),
    (#"{"model": "a", "sensitivity": "v9"}"#, Refusal(-32803, "sensitivityNotFound")),
    (#"{"model": "a", "dataset": "short", "plugin": "wanda", "group": "global"}"#, Refusal(-32602, "outOfRange")),
    (#"{"model": "a", "dataset": "short", "plugin": "wanda", "sparsities": []}"#, Refusal(-32602, "outOfRange")),
    (#"{"model": "a", "dataset": "short", "plugin": "wanda", "sparsities": [1.5]}"#, Refusal(-32602, "outOfRange")),
    (#"{"model": "a", "dataset": "short", "unit": "layer", "sparsities": [0.5]}"#, Refusal(-32602, "outOfRange")),
    (#"{"model": "a", "dataset": "short", "unit": "layer", "plugin": "wanda"}"#, Refusal(-32602, "unknownField")),
    (#"{"model": "a", "sensitivity": "v1", "dataset": "short"}"#, Refusal(-32602, "unknownField")),
    (#"{"model": "a", "dataset": "short"}"#, Refusal(-32602, "missingField")),
    (#"{"model": "a", "dataset": "short", "plugin": "wanda", "layers": []}"#, Refusal(-32602, "outOfRange")),
  ])
  func refused(params: String, refusal: Refusal) throws {
    let (_, client) = try evaluationSession()
    #expect(try client.refusal("evaluate/sensitivity", JSON.parse(params)) == refusal)
    try client.end(within: 20)
  }

  @Test func divergenceOfRevisionsAndModels() throws {
    let (_, client) = try evaluationSession()
    _ = try client.call("mask/edit", ["model": "a", "edits": [["op": "prune", "layer": 2, "heads": [0]]]], within: 20)
    let same = try client.call(
      "evaluate/divergence", ["model": "a", "reference": ["model": "a"], "dataset": "short"], within: 60)
    #expect(same["meanKL"]?.number == 0 && same["sameTopToken"]?.number == 1 && same["perplexityRatio"]?.number == 1)
    let pruned = try client.call(
      "evaluate/divergence", ["model": "a", "reference": ["model": "a", "revision": "r0"], "dataset": "short"],
      within: 60)
    #expect(pruned["revision"] == "r1" && pruned["reference"] == ["model": "a", "revision": "r0"])
    #expect((pruned["meanKL"]?.number ?? 0) > 0 && (pruned["sameTopToken"]?.number ?? 1) < 1)
    let quantiles = ["0.5", "0.9", "0.99", "max"].compactMap { pruned["quantiles"]?[$0]?.number }
    #expect(quantiles.count == 4 && quantiles.sorted() == quantiles)
    let own = try client.call("evaluate/perplexity", ["model": "a", "dataset": "short"], within: 60)
    let ratio = try #require(pruned["perplexity"]?.number) / (try #require(own["perplexity"]?.number))
    #expect(abs(ratio - 1) < 1e-6 && pruned["tokens"] == own["tokens"] && pruned["windows"] == own["windows"])
    for (params, refusal) in [
      (#"{"model": "a", "reference": {"model": "b"}, "dataset": "short"}"#, Refusal(-32803, "modelNotFound")),
      (#"{"model": "a", "reference": "a", "dataset": "short"}"#, Refusal(-32602, "wrongType")),
      (#"{"model": "a", "reference": {"revision": "r0"}, "dataset": "short"}"#, Refusal(-32602, "missingField")),
      (#"{"model": "a", "reference": {"model": "a", "x": 1}, "dataset": "short"}"#, Refusal(-32602, "unknownField")),
      (
        #"{"model": "a", "reference": {"model": "a", "revision": "r8"}, "dataset": "short"}"#,
        Refusal(-32803, "revisionNotFound")
      ),
    ] {
      #expect(try client.refusal("evaluate/divergence", JSON.parse(params)) == refusal)
    }
    try client.end(within: 20)
  }
}
