// espalier quickstart: the main job from start to end, through the same pipe that editors and scripts use.

import ArgumentParser
import JSON
import PipeClient

struct Quickstart: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Score, prune, measure, distil and undo on a model, start to end, and print a table.",
    discussion: """
      Loads a model and two texts into a fresh daemon, lets each plugin score the weights once, and for each sparsity \
      masks, measures the perplexity and undoes the masks. Then the model of the last masks learns from the dense one \
      for some steps. At the end nothing must be left of any of it: the perplexity is measured again and must equal the first one bit for bit, or the exit code is 1.

      The standard error is that of the perplexity over the windows of the evaluation text: perplexity times the \
      standard error of the mean loss.

      EXAMPLES:
        espalier quickstart
        espalier quickstart --ratios 0.5 --sequences 64 --json
        espalier quickstart --model ~/SmolLM2-135M \\
          --calibration train.txt --evaluation test.txt
      """)

  @Option(help: "The model: a Hugging Face folder, a .gguf file or builtin:sapling.")
  var model = "builtin:sapling"

  @Option(help: "The plugins that score, with commas between.")
  var plugins = CommaSeparated(elements: ["magnitude", "wanda"])

  @Option(help: "The sparsities, from 0 to 1, with commas between.")
  var ratios = CommaSeparated(elements: [0.3, 0.5, 0.6])

  @Option(help: "The text for the statistics of the plugins. Default: that of the built-in model.")
  var calibration: String?

  @Option(help: "The text for the perplexity. Default: that of the built-in model.")
  var evaluation: String?

  @Option(help: "Tokens of a sequence.")
  var sequenceLength = 256

  @Option(help: "Sequences of either text, at the most.")
  var sequences = 32

  @Option(help: "Steps of distillation that the last of the masks get, from the dense model; 0 for none.")
  var teach = 20

  @Flag(help: "Print everything as JSON instead.")
  var json = false

  @OptionGroup var daemon: DaemonOptions

  func validate() throws {
    if !model.hasPrefix("builtin:"), calibration == nil || evaluation == nil {
      throw ValidationError("\(model) comes without texts; name text files with --calibration and --evaluation.")
    }
    if let ratio = ratios.elements.first(where: { !(0...1).contains($0) }) {
      throw ValidationError("--ratios has \(ratio); expected numbers from 0 to 1, as 0.3,0.5.")
    }
    if sequenceLength < 2 || sequences < 1 {
      throw ValidationError("--sequence-length must be at least 2 and --sequences at least 1.")
    }
    if !(0...10_000).contains(teach) {
      throw ValidationError("--teach has \(teach); expected 0 to 10000 steps.")
    }
  }

  func run() throws {
    let plan = PruningTour.Plan(
      source: model, plugins: plugins.elements, sparsities: ratios.elements,
      calibration: calibration ?? model + "/calibration", evaluation: evaluation ?? model + "/evaluation",
      sequenceLength: sequenceLength, sequences: sequences, lessons: teach)
    let status = StatusLine()
    let report = try daemon.withDaemon(status) { client in
      var tour = PruningTour(plan, client: client, status: status)
      return try tour.run()
    }
    if json { try printJSON(report.json) } else { print(report.text) }
    if !report.isRestored { throw ExitCode(1) }
  }
}

/// A list in one argument: `0.3,0.5,0.6`.
struct CommaSeparated<Element: LosslessStringConvertible & Sendable>: ExpressibleByArgument, Sendable {
  let elements: [Element]

  init(elements: [Element]) { self.elements = elements }

  init?(argument: String) {
    let parts = argument.split(separator: ",").map { Element(String($0)) }
    elements = parts.compactMap(\.self)
    guard !parts.isEmpty, elements.count == parts.count else { return nil }
  }

  var defaultValueDescription: String { elements.map(\.description).joined(separator: ",") }
}
