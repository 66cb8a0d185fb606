// A distillation that goes by itself on all processors, as a client feels it who does something else meanwhile.

import Glibc
import JSON
import PipeClient

/// - Parameters:
///   - model, dataset: names that the daemon has.
///   - batch: sequences that go through the models at once, and make a step.
/// - Throws: `PipeClientError`.
func runFigures(_ client: Client, model: String, dataset: String, batch: Int) throws -> [Figure] {
  let run: JSON = ["run": "bench"]
  _ = try client.call(
    "distill/start",
    [
      "name": "bench", "student": JSON(model), "dataset": JSON(dataset), "objectives": ["forward-kl"], "steps": 1_000_000,
      "batch": JSON(batch), "accumulation": 1, "explosion": 0, "teacherCache": "none",
    ])
  _ = try client.call("distill/step", run)
  let step = try seconds { _ = try client.call("distill/step", run) }

  _ = try client.call("distill/resume", run)
  let latencies = try lightRequests(model: model).map { method, params in
    defer { usleep(5000) }
    return try seconds { _ = try client.call(method, params) }
  }
  let pausing = try seconds { _ = try client.call("distill/pause", run) }
  let fork = try client.call("distill/fork", ["run": "bench", "name": "fork"])["seconds"]?.number ?? .nan

  let cancelling = try (0..<3).map { _ in
    let running = try client.start("distill/step", run)
    usleep(UInt32(min(step / 2, 10) * 1e6))
    running.cancel()
    return seconds { _ = try? running.result() }
  }
  for name in ["bench", "fork"] { _ = try client.call("distill/stop", ["run": JSON(name)]) }
  return [
    Figure(
      "underRunMilliseconds99", "light requests while a run goes by itself, p99", quantile(latencies, 0.99) * 1e3, "ms",
      note: "p50 \(short(median(latencies) * 1e3)) ms; of \(latencies.count)"),
    Figure(
      "pauseSteps", "pause of a run answered", pausing / step, "steps",
      note: "a step of \(batch) sequences in fp32 takes \(short(step)) s"),
    Figure("forkSeconds", "fork of a run", fork, "s"),
    Figure(
      "cancelStepMilliseconds", "step cancelled in its middle answered", (cancelling.max() ?? 0) * 1e3, "ms",
      note: "largest of \(cancelling.count)"),
  ]
}

/// What an editor asks while something else goes on.
private func lightRequests(model: String) -> [(method: String, params: JSON)] {
  let four: [(method: String, params: JSON)] = [
    ("server/status", [:]), ("distill/status", ["run": "bench"]), ("model/describe", ["model": JSON(model)]),
    ("revision/log", ["model": JSON(model)]),
  ]
  return (0..<75).flatMap { _ in four }
}

/// With two digits behind the point.
private func short(_ value: Double) -> String { String((value * 100).rounded() / 100) }
