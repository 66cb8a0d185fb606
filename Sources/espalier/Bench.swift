// espalier bench: how fast it is here and now, beside what the machine can do.

import ArgumentParser
import Benchmark
import JSON

struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure the engine and the daemon on this machine, now.",
    discussion: """
      Prints the rate of OpenBLAS's matrix product and the memory's bandwidth, then what the engine makes of them, then \
      how long a client of the daemon waits. Machines are noisy: compare figures of one run, not of two.
      """)

  @Option(help: "A Hugging Face folder, a .gguf file, or builtin:sapling.")
  var model = "builtin:sapling"

  @Option(help: "Tokens of a sequence.")
  var length = 512

  @Option(help: "Sequences of a batch.")
  var sequences = 2

  @Option(help: "How long to repeat the forward pass.")
  var seconds = 6.0

  @Option(
    parsing: .upToNextOption,
    help: "What to measure: \(BenchmarkPart.allCases.map(\.rawValue).joined(separator: ", ")), daemon. Default: all.")
  var only: [String] = []

  @Flag(help: "Let the training step compute all activations again instead of keeping them.")
  var recompute = false

  @Option(help: "Threads that compute. Default: as many as there are processors.")
  var threads: Int?

  @Flag(help: "Print the figures as JSON.")
  var json = false

  func validate() throws {
    guard length >= 2, sequences >= 1, seconds > 0, seconds < 3600 else {
      throw ValidationError("expected --length of at least 2, --sequences of at least 1 and --seconds above 0.")
    }
    let parts = BenchmarkPart.allCases.map(\.rawValue) + ["daemon"]
    if let stranger = only.first(where: { !parts.contains($0) }) {
      throw ValidationError("--only knows \(parts.joined(separator: ", ")), not \(stranger).")
    }
  }

  func run() throws {
    let options = BenchmarkOptions(
      model: model, length: length, sequences: sequences, seconds: seconds, threads: threads,
      parts: Set(only.isEmpty ? BenchmarkPart.allCases : only.compactMap(BenchmarkPart.init)), recomputing: recompute)
    let status = StatusLine()
    status.show("measuring the engine on \(model) ...")
    let engine = only == ["daemon"] ? nil : try benchmarkEngine(options)
    status.clear()
    if !json, let engine { print(Self.text(engine) + "\n") }
    let daemon: Figures?
    if only.isEmpty || only.contains("daemon") {
      status.show("measuring the daemon on \(model) ...")
      daemon = try benchmarkDaemon(options)
      status.clear()
    } else {
      daemon = nil
    }
    if json {
      var report: JSONObject = ["model": JSON(model), "length": JSON(length), "sequences": JSON(sequences)]
      report["engine"] = engine?.json
      report["daemon"] = daemon?.json
      return try printJSON(.object(report))
    }
    if let daemon { print(Self.text(daemon)) }
  }

  private static func text(_ figures: Figures) -> String {
    let table = Table(
      columns: [figures.title, "", "", ""].enumerated().map { place, heading in
        Table.Column(heading: heading, isNumber: place == 1)
      },
      rows: figures.figures.map { figure in
        let digits = figure.value < 0.01 ? 6 : figure.value < 10 ? 3 : figure.value < 100 ? 1 : 0
        return [figure.name, fixed(figure.value, digits), figure.unit, figure.note]
      })
    return table.text
  }
}
