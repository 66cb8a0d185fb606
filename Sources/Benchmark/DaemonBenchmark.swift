// The daemon as a client feels it: everything here goes over the pipe of a fresh child process.

import Glibc
import JSON
import PipeClient
import Threads

/// Measures start, loading, editing, answering under load, cancelling, and a run of distillation.
/// - Throws: `PipeClientError`.
package func benchmarkDaemon(_ options: BenchmarkOptions) throws -> Figures {
  let arguments = options.threads.map { ["--threads", "\($0)"] } ?? []
  let starts = try (0..<7).map { _ in try secondsToInitialize(arguments) }
  let client = try Client(starting: .daemon(arguments: arguments))
  try client.initialize()
  let idle = try residentBytes(client)

  let loading = try seconds {
    _ = try client.call("model/load", ["source": JSON(options.model), "name": "bench"])
    _ = try client.call("model/describe", ["model": "bench"])
  }
  var generator = SystemRandomNumberGenerator()
  let described = try client.call("model/describe", ["model": "bench"])
  let vocabulary = described["vocabularySize"]?.integer ?? 2
  let tokens = (0..<options.length * options.sequences * 8).map { _ in Int.random(in: 0..<vocabulary, using: &generator)
  }
  _ = try client.call(
    "dataset/load",
    ["tokens": JSON(tokens), "model": "bench", "sequenceLength": JSON(options.length), "name": "random"])
  let evaluation: JSON = ["model": "bench", "dataset": "random"]

  let before = try client.call("evaluate/perplexity", evaluation)
  let loaded = try residentBytes(client)
  let scores = try client.call("importance/score", ["model": "bench", "plugin": "magnitude"])
  var edits: [Double] = []
  for ratio in [0.3, 0.5, 0.7] {
    let params: JSON = ["model": "bench", "scores": scores["scores"] ?? nil, "sparsity": JSON(ratio), "group": "row"]
    edits.append(try seconds { _ = try client.call("mask/apply", params) })
  }
  let undos = try (0..<3).map { _ in try seconds { _ = try client.call("mask/undo", ["model": "bench"]) } }
  let after = try client.call("evaluate/perplexity", evaluation)
  let same = before["perplexity"]?.number?.bitPattern == after["perplexity"]?.number?.bitPattern

  let underLoad = try statusLatencies(client, evaluation: evaluation)
  let cancelling = try (0..<5).map { _ in try secondsToCancel(client, evaluation: evaluation) }
  let runs = try runFigures(client, model: "bench", dataset: "random", batch: options.sequences)
  try client.end()
  let weights = Double(described["bytes"]?.integer ?? 0)
  return Figures(
    title: "Daemon, over its pipe",
    figures: [
      Figure(
        "initializeMilliseconds", "start to answer of initialize", median(starts) * 1e3, "ms", note: "median of 7"),
      Figure("idleMegabytes", "resident without a model", idle / 1e6, "MB"),
      Figure("loadToDescribeSeconds", "model/load to answer of model/describe", loading, "s"),
      Figure(
        "residentMegabytes", "resident after an evaluation", loaded / 1e6, "MB",
        note: "the weights are \(Int(weights / 1e6)) MB"),
      Figure("applySeconds", "mask/apply at another ratio", edits.max() ?? 0, "s", note: "whole model, largest of 3"),
      Figure("undoMilliseconds", "mask/undo", (undos.max() ?? 0) * 1e3, "ms", note: "largest of 3"),
      Figure(
        "undoIsExact", "perplexity after undo equal to the bit", same ? 1 : 0, "", note: same ? "yes" : "NO"),
      Figure(
        "statusMilliseconds99", "server/status during an evaluation, p99", quantile(underLoad, 0.99) * 1e3, "ms",
        note: "of \(underLoad.count)"),
      Figure(
        "cancelMilliseconds", "cancelled evaluation answered", (cancelling.max() ?? 0) * 1e3, "ms",
        note: "largest of \(cancelling.count)"),
    ] + runs)
}

private func secondsToInitialize(_ arguments: [String]) throws -> Double {
  var client: Client?
  let time = try seconds {
    client = try Client(starting: .daemon(arguments: arguments))
    try client?.initialize()
  }
  try client?.end()
  return time
}

private func residentBytes(_ client: Client) throws -> Double {
  Double(try client.call("server/status")["memory"]?["residentBytes"]?.integer ?? 0)
}

/// How long each `server/status` takes while an evaluation runs.
private func statusLatencies(_ client: Client, evaluation: JSON) throws -> [Double] {
  let running = try client.start("evaluate/perplexity", evaluation)
  let gate = Gate(false)
  startThread(named: "evaluation") {
    _ = try? running.result()
    gate.withLock { $0 = true }
  }
  defer { gate.wait { $0 ? () : nil } }
  var latencies: [Double] = []
  while !gate.withLock({ $0 }), latencies.count < 500 {
    latencies.append(try seconds { _ = try client.call("server/status") })
    usleep(5000)
  }
  return latencies
}

/// From the cancellation of an evaluation that is under way to its answer.
private func secondsToCancel(_ client: Client, evaluation: JSON) throws -> Double {
  let running = try client.start("evaluate/perplexity", evaluation)
  usleep(300_000)
  running.cancel()
  return seconds { _ = try? running.result() }
}
