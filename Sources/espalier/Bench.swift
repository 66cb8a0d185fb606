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

  @Option(help: "Threads that compute. Default: as many as there are processors.")
  var threads: Int?

  @Flag(help: "Print the figures as JSON.")
  var json = false

  func validate() throws {
    guard length >= 2, sequences >= 1, seconds > 0, seconds < 3600 else {
      throw ValidationError("expected --length of at least 2, --sequences of at least 1 and --seconds above 0.")
    }
  }

  func run() throws {
    let options = BenchmarkOptions(
      model: model, length: length, sequences: sequences, seconds: seconds, threads: threads)
    let status = StatusLine()
    status.show("measuring the engine on \(model) ...")
    let engine = try benchmarkEngine(options)
    status.clear()
    if !json { print(Self.text(engine) + "\n") }
    status.show("measuring the daemon on \(model) ...")
    let daemon = try benchmarkDaemon(options)
    status.clear()
    if json {
      return try printJSON([
        "model": JSON(model), "length": JSON(length), "sequences": JSON(sequences), "engine": engine.json,
        "daemon": daemon.json,
      ])
    }
    print(Self.text(daemon))
  }

  private static func text(_ figures: Figures) -> String {
    let table = Table(
      columns: [figures.title, "", "", ""].enumerated().map { place, heading in
        Table.Column(heading: heading, isNumber: place == 1)
      },
      rows: figures.figures.map { figure in
        let digits = figure.value < 10 ? 3 : figure.value < 100 ? 1 : 0
        return [figure.name, fixed(figure.value, digits), figure.unit, figure.note]
      })
    return table.text
  }
}
