// Whole conversations with the built-in model: answers agree with the order of the messages, nothing that fails
// changes anything, and an undo brings back the same bits.

import JSON
import JSONRPC
import PipeClient
import TestSupport
import Testing

@testable import Server

@Suite struct ConversationTests {
  private static let tensor = "model.layers.0.self_attn.k_proj.weight"

  /// A session with the built-in model as `a`, a dataset `d`, and magnitude scores of one small tensor.
  private struct Orchard {
    let server: TestServer
    let client: Client
    let scores: JSON

    init(sequences: Int = 2) throws {
      server = try TestServer()
      client = try Client(reading: server.output, writing: server.input)
      try client.initialize()
      _ = try client.call("model/load", ["source": "builtin:sapling", "name": "a"], within: 60)
      _ = try client.call(
        "dataset/load",
        [
          "path": "builtin:sapling/evaluation", "model": "a", "name": "d", "sequenceLength": 32,
          "sequences": JSON(sequences),
        ], within: 60)
      scores =
        try client.call(
          "importance/score", ["model": "a", "plugin": "magnitude", "modules": [.string(tensor)]], within: 60
        )["scores"] ?? ""
    }

    func revision() throws -> String? {
      try client.call("revision/log", ["model": "a"], within: 60)["current"]?.string
    }
  }

  /// All of it is sent before any of it is answered.
  @Test func messagesTakeEffectInTheirOrder() throws {
    let orchard = try Orchard()
    let client = orchard.client
    let evaluation: JSON = ["model": "a", "dataset": "d"]
    let calls = try [
      ("evaluate/perplexity", evaluation),
      ("mask/apply", ["model": "a", "scores": orchard.scores, "sparsity": 0.6]), ("evaluate/perplexity", evaluation),
      ("prune/run", ["model": "a", "plugin": "wanda", "dataset": "d", "sparsity": 0.5]),
      ("mask/undo", ["model": "a"]), ("mask/undo", ["model": "a"]), ("evaluate/perplexity", evaluation),
      ("mask/redo", ["model": "a"]), ("evaluate/perplexity", evaluation),
    ].map { try client.start($0.0, $0.1) }
    let answers = try calls.map { try $0.result(within: 60) }
    #expect(
      answers.map { $0["revision"]?.string ?? "" } == ["r0", "r1", "r1", "r2", "r1", "r0", "r0", "r1", "r1"])
    #expect(answers[6]["perWindow"] == answers[0]["perWindow"], "an undo brings back the same bits")
    #expect(answers[8]["perWindow"] == answers[2]["perWindow"])
    #expect(answers[8]["perWindow"] != answers[0]["perWindow"])
    try client.end(within: 20)
    #expect(orchard.server.exitCode() == 0)
  }

  @Test func whatIsUnloadedIsGoneForThoseThatComeLater() throws {
    let orchard = try Orchard()
    let client = orchard.client
    let before = try client.start("evaluate/perplexity", ["model": "a", "dataset": "d"])
    let unloaded = try client.start("model/unload", ["model": "a"])
    #expect(try unloaded.result(within: 60)["discardedScores"] == [orchard.scores])
    #expect(try client.refusal("evaluate/perplexity", ["model": "a", "dataset": "d"])?.kind == "modelNotFound")
    #expect(try before.result(within: 60)["revision"] == "r0", "one that had begun keeps what it needs")
    #expect(
      try client.refusal("importance/query", ["scores": orchard.scores, "tensor": .string(Self.tensor), "topK": 1])?
        .kind == "scoresNotFound")
    try client.end(within: 20)
  }

  @Test func aCancelledRunLeavesTheRevisionAlone() throws {
    let orchard = try Orchard(sequences: 400)
    let client = orchard.client
    let run = try client.start(
      "prune/run", ["model": "a", "plugin": "wanda", "dataset": "d", "sparsity": 0.5], reportsProgress: true)
    #expect(try client.call("server/status", within: 60)["jobs"]?.integer == 1, "answered meanwhile")
    run.cancel()
    #expect(throws: PipeClientError.self) { _ = try run.result(within: 60) }
    #expect(try orchard.revision() == "r0")
    #expect(try client.call("revision/log", ["model": "a"], within: 60)["revisions"]?.array?.count == 1)
    try client.end(within: 20)
  }

  @Test func shutdownCancelsWhatRuns() throws {
    let orchard = try Orchard(sequences: 400)
    let run = try orchard.client.start("evaluate/perplexity", ["model": "a", "dataset": "d"])
    try orchard.client.end(within: 20)
    let error = #expect(throws: PipeClientError.self) { _ = try run.result(within: 60) }
    #expect(error?.kind == "cancelled")
    #expect(orchard.server.exitCode() == 0)
  }

  /// Random requests, sent without waiting; each answer is foretold by a model of the history that takes them one
  /// after another.
  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func randomRequests(seed: UInt64) throws {
    var random = Seeded(seed)
    let orchard = try Orchard()
    var history = History()
    var calls: [(call: PendingCall, expected: String, method: String)] = []
    for _ in 0..<60 {
      let (method, params, expected) = Self.step(&random, &history, scores: orchard.scores)
      calls.append((try orchard.client.start(method, params), expected, method))
    }
    for (number, (call, expected, method)) in calls.enumerated() {
      let came: String
      do throws(PipeClientError) {
        came = try call.result(within: 60)["revision"]?.string ?? "no revision"
      } catch {
        came = error.kind
      }
      #expect(came == expected, "request \(number), \(method), \(random)")
    }
    #expect(try orchard.revision() == history.current)
    try orchard.client.end(within: 20)
  }

  /// What the revisions of one branch are like, one request after another.
  private struct History {
    var current = "r0"
    var parents: [String: String] = [:]
    var undone: [String] = []
    var count = 1

    mutating func edit() -> String {
      let id = "r\(count)"
      parents[id] = current
      count += 1
      return moved(to: id)
    }

    mutating func undo() -> String {
      guard let parent = parents[current] else { return "nothingToUndo" }
      undone.append(current)
      current = parent
      return current
    }

    mutating func redo() -> String {
      guard let next = undone.popLast() else { return "nothingToRedo" }
      current = next
      return current
    }

    mutating func moved(to id: String) -> String {
      (current, undone) = (id, [])
      return id
    }
  }

  /// A random request, and the revision or the kind of error that it must be answered with.
  private static func step(
    _ random: inout Seeded, _ history: inout History, scores: JSON
  ) -> (method: String, params: JSON, expected: String) {
    switch random.int(in: 0...9) {
    case 0, 1:
      return ("mask/apply", ["model": "a", "scores": scores, "sparsity": .number(random.uniform())], history.edit())
    case 2:
      let index = JSON(random.int(in: 0...1000))
      return (
        "mask/edit", ["model": "a", "edits": [["tensor": .string(tensor), "op": "invert", "indices": [index]]]],
        history.edit()
      )
    case 3, 4: return ("mask/undo", ["model": "a"], history.undo())
    case 5: return ("mask/redo", ["model": "a"], history.redo())
    case 6:
      let target = "r\(random.int(in: 0...history.count - 1))"
      return ("revision/checkout", ["model": "a", "target": JSON(target)], history.moved(to: target))
    case 7: return ("mask/get", ["model": "a"], history.current)
    case 8: return ("evaluate/perplexity", ["model": "a", "dataset": "d"], history.current)
    default:
      return ("mask/apply", ["model": "a", "scores": scores, "pattern": "3:7"], "patternDoesNotDivide")
    }
  }
}
