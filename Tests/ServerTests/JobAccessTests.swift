// Which requests wait for which: the rules as a table, and what each method says that it touches.

import Foundation
import JSON
import JSONRPC
import Testing

@testable import Server

@Suite struct JobAccessTests {
  private static let a = Resource.model("a"), b = Resource.model("b"), data = Resource.dataset("d")

  /// The later request, the earlier one, and whether the later waits before and after the earlier is prepared.
  @Test(
    arguments: [
      (.none, .none, false, false),
      (.none, .writing(a), false, false),  // a view waits for nobody
      (.writing(a), .none, false, false),
      (.reading(a), .reading(a), false, false),
      (.reading(a), .writing(a), true, true),  // what is read must be finished
      (.writing(a), .writing(a), true, true),
      (.writing(a), .reading(a), true, false),  // a prepared reader has what it needs
      (.writing(a), .writing(b), false, false),
      (.writing(a), .reading(b), false, false),
      (.reading(a), .writing(b, reading: a), false, false),
      (.writing(a), .writing(b, reading: a), true, false),
      (.writing(b, reading: a), .writing(a), true, true),
      (.reading(a, data), .writing(data), true, true),
      (.writing(data), .reading(a, data), true, false),
      (.writing(.model("x")), .writing(.dataset("x")), false, false),  // names of different things
      (.writing(.scores("x")), .reading(.scores("y")), false, false),
      (.writing(.plugins), .reading(.plugins), true, false),
      (.reading(a, .plugins), .writing(.plugins), true, true),
    ] as [(Access, Access, Bool, Bool)])
  func mustWait(later: Access, earlier: Access, unprepared: Bool, prepared: Bool) {
    #expect(later.mustWait(for: earlier, prepared: false) == unprepared)
    #expect(later.mustWait(for: earlier, prepared: true) == prepared)
  }

  @Test func absentResourcesAreNoResources() {
    #expect(Access.reading(nil, nil) == .none)
    #expect(Access.writing(Self.a, reading: nil) == Access(writes: [Self.a]))
  }

  private static let model = Resource.model("m"), run = Resource.run("x")

  /// Requests, and what they read and change.
  private static let requests: [(method: String, params: String, access: Access)] = [
    ("server/status", "{}", .none), ("job/list", "{}", .none), ("job/cancel", #"{"job": "j1"}"#, .none),
    ("model/list", "{}", .none), ("model/describe", #"{"model": "m"}"#, .none),
    ("revision/log", #"{"model": "m"}"#, .none), ("dataset/list", "{}", .none), ("importance/list", "{}", .none),
    ("model/load", #"{"source": "/some/folder/m.gguf"}"#, .writing(model)),
    ("model/load", #"{"source": "/x", "name": "m"}"#, .writing(model)),
    ("model/unload", #"{"model": "m"}"#, .writing(model)),
    ("model/export", #"{"model": "m", "path": "/x", "format": "hf"}"#, .reading(model)),
    ("model/generate", #"{"model": "m", "prompt": "a"}"#, .reading(model)),
    ("dataset/load", #"{"text": "a", "model": "m", "sequenceLength": 8}"#, .reading(model)),
    (
      "dataset/load", #"{"text": "a", "model": "m", "sequenceLength": 8, "name": "d"}"#,
      .writing(data, reading: model)
    ),
    ("dataset/unload", #"{"dataset": "d"}"#, .writing(data)),
    ("dataset/generate", #"{"model": "m", "count": 1}"#, .reading(model)),
    ("dataset/generate", #"{"model": "m", "dataset": "d"}"#, .reading(model, data)),
    (
      "dataset/generate", #"{"model": "m", "dataset": "d", "name": "e"}"#,
      .writing(.dataset("e"), reading: model, data)
    ),
    ("plugin/list", "{}", .reading(.plugins)), ("plugin/load", #"{"path": "/x"}"#, .writing(.plugins)),
    ("plugin/describe", #"{"plugin": "p"}"#, .reading(.plugins)),
    ("plugin/unload", #"{"plugin": "p"}"#, .writing(.plugins)),
    ("importance/score", #"{"model": "m", "plugin": "p"}"#, .reading(model, .plugins)),
    ("importance/score", #"{"model": "m", "plugin": "p", "dataset": "d"}"#, .reading(model, .plugins, data)),
    ("importance/query", #"{"scores": "s", "tensor": "t", "topK": 1}"#, .reading(.scores("s"))),
    (
      "importance/compare", #"{"a": "s", "b": "t", "sparsity": 0.5}"#,
      .reading(.scores("s"), .scores("t"))
    ),
    ("importance/discard", #"{"scores": "s"}"#, .writing(.scores("s"))),
    (
      "mask/apply", #"{"model": "m", "scores": "s", "sparsity": 0.5}"#,
      .writing(model, reading: .scores("s"))
    ),
    (
      "mask/apply", #"{"model": "m", "scores": "s", "sparsity": 0.5, "allocation": "owl", "dataset": "d"}"#,
      .writing(model, reading: .scores("s"), .plugins, data)
    ),
    ("revision/forget", #"{"model": "m", "revision": "r1"}"#, .writing(model)),
    ("mask/edit", #"{"model": "m", "edits": [{"op": "prune", "tensor": "t"}]}"#, .writing(model)),
    ("mask/undo", #"{"model": "m"}"#, .writing(model)), ("mask/redo", #"{"model": "m"}"#, .writing(model)),
    ("mask/get", #"{"model": "m"}"#, .reading(model)),
    ("mask/diff", #"{"model": "m", "from": "r0"}"#, .reading(model)),
    ("mask/save", #"{"model": "m", "path": "/x"}"#, .reading(model)),
    ("mask/load", #"{"model": "m", "path": "/x"}"#, .writing(model)),
    ("revision/checkout", #"{"model": "m", "target": "r0"}"#, .writing(model)),
    ("revision/branch", #"{"model": "m", "name": "b"}"#, .writing(model)),
    (
      "prune/run", #"{"model": "m", "plugin": "p", "dataset": "d", "sparsity": 0.5}"#,
      .writing(model, reading: .plugins, data)
    ),
    ("prune/shrink", #"{"model": "m"}"#, .writing(.model("m-shrunk"), reading: model)),
    (
      "prune/shrink", #"{"model": "m", "name": "n", "residualHeads": true, "scores": "u1"}"#,
      .writing(.model("n"), reading: model, .scores("u1"))
    ),
    ("evaluate/perplexity", #"{"model": "m", "dataset": "d"}"#, .reading(model, data)),
    (
      "prune/preview", #"{"model": "m", "dataset": "d", "edits": [{"op": "prune", "tensor": "t"}]}"#,
      .reading(model, data)
    ),
    (
      "prune/preview", #"{"model": "m", "dataset": "d", "plugin": "p", "sparsities": [0.5], "terms": {"x": "s"}}"#,
      .reading(model, data, .plugins, .scores("s"))
    ),
    (
      "evaluate/divergence", #"{"model": "m", "reference": {"model": "n"}, "dataset": "d"}"#,
      .reading(model, .model("n"), data)
    ),
    ("evaluate/sensitivity", #"{"model": "m", "dataset": "d", "unit": "layer"}"#, .reading(model, data)),
    ("evaluate/sensitivity", #"{"model": "m", "sensitivity": "v1"}"#, .reading(model)),
    (
      "evaluate/sensitivity", #"{"model": "m", "dataset": "d", "plugin": "p", "calibration": "c"}"#,
      .reading(model, data, .plugins, .dataset("c"))
    ),
    ("distill/start", #"{"student": "m", "dataset": "d"}"#, .reading(model, data, .plugins)),
    (
      "distill/start", #"{"student": {"model": "m"}, "teacher": "n", "dataset": "d", "name": "x"}"#,
      .writing(run, reading: model, .model("n"), data, .plugins)
    ),
    ("distill/load", #"{"path": "/x"}"#, .reading(.plugins)),
    (
      "distill/load", #"{"path": "/x", "name": "x", "student": "m", "teacher": "n", "dataset": "d"}"#,
      .writing(run, reading: model, .model("n"), data, .plugins)
    ),
    ("distill/step", #"{"run": "x"}"#, .writing(run)), ("distill/status", "{}", .none),
    ("distill/pause", #"{"run": "x"}"#, .reading(run)), ("distill/resume", #"{"run": "x"}"#, .writing(run)),
    ("distill/fork", #"{"run": "x", "name": "y"}"#, .writing(.run("y"), reading: run)),
    ("distill/commit", #"{"run": "x"}"#, .writing(run)),
    ("distill/save", #"{"run": "x", "path": "/x"}"#, .reading(run)), ("distill/stop", #"{"run": "x"}"#, .none),
    (
      "distill/recipe",
      #"""
      {"model": "m", "stages": [
        {"prune": {"plugin": "p", "sparsity": 0.5, "dataset": "c"}}, {"rewind": {"revision": "r0"}},
        {"teach": {"dataset": "d", "teacher": "n"}}
      ]}
      """#,
      .writing(model, reading: .plugins, data, .dataset("c"), .model("n"))
    ),
    ("selftest/gradients", #"{"model": "m"}"#, .reading(model)),
    ("selftest/gradients", #"{"model": "m", "dataset": "d"}"#, .reading(model, data)),
  ]

  @Test(arguments: requests)
  func accessOfMethods(method: String, params: String, access: Access) throws {
    #expect(try Routing.call(method, JSON.parse(params)).access == access)
  }

  @Test func theTableLeavesNoMethodOut() {
    #expect(Set(Self.requests.map(\.method)) == Set(routes.keys))
    #expect(Set(methodNames) == Set(routes.keys).union(["initialize", "shutdown"]))
  }
}

/// Reads parameters as the server does, without one.
enum Routing {
  static let context: Result<ServerContext, any Error> = Result {
    let outbox = try Outbox(descriptor: open("/dev/null", O_WRONLY))
    let options = ServeOptions(input: -1, output: -1, threads: 1)
    return ServerContext(options: options, outbox: outbox, scheduler: Scheduler())
  }

  /// - Throws: `JSONFieldError`.
  static func call(_ method: String, _ params: JSON) throws -> Call {
    let route = try #require(routes[method])
    return try route.call(try JSONFields(params, at: "params"), try context.get())
  }
}
