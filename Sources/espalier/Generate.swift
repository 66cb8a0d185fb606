// espalier generate: a model writes on in the terminal, through the same pipe that editors and scripts use.

import ArgumentParser
import JSON
import PipeClient

struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Let a model continue a text, and print what it writes as it comes.",
    discussion: """
      Loads a model into a fresh daemon and prints the prompt's continuation to standard output. Greedy unless a \
      temperature is given; the same seed gives the same text.

      EXAMPLES:
        espalier generate "To be, or not"
        espalier generate --model ~/SmolLM2-135M --temperature 0.8 --top-p 0.95 "Once upon a time"
      """)

  @Argument(help: "The text that is continued.")
  var prompt: String

  @Option(help: "The model: a Hugging Face folder, a .gguf file or builtin:sapling.")
  var model = "builtin:sapling"

  @Option(help: "Tokens to add, at the most.")
  var maxTokens = 128

  @Option(help: "What the model's scores are divided by; 0 always takes the most probable token.")
  var temperature = 0.0

  @Option(help: "Draw from this many of the most probable tokens only.")
  var topK: Int?

  @Option(help: "Draw from the fewest most probable tokens with this probability together, from 0 to 1.")
  var topP: Double?

  @Option(help: "Of the random numbers.")
  var seed = 0

  @Flag(help: "Print the whole result as JSON instead.")
  var json = false

  @OptionGroup var daemon: DaemonOptions

  func run() throws {
    let status = StatusLine()
    try daemon.withDaemon(status) { client in
      status.show("loading \(model)")
      let loaded = try client.call("model/load", ["source": .string(model)])
      status.clear()
      var params: JSON = [
        "model": loaded["model"] ?? "", "prompt": .string(prompt), "maxTokens": JSON(maxTokens),
        "temperature": JSON(temperature), "seed": JSON(seed),
      ]
      if let topK { params["topK"] = JSON(topK) }
      if let topP { params["topP"] = JSON(topP) }
      if json { return try printJSON(try client.call("model/generate", params)) }
      var unprinted = prompt  // until the model has begun: what is refused prints nothing
      let result = try client.call("model/generate", params, onPartialResult: { part in
        printPart(unprinted + (part["text"]?.string ?? ""))
        unprinted = ""
      })
      printPart(unprinted)
      printPart("\n")
      if status.isTerminal, let rate = result["tokensPerSecond"]?.number, let reason = result["finishReason"]?.string {
        printError("[\(reason), \(Int(rate.rounded())) tokens/s]")
      }
    }
  }
}
