// espalier call: requests to a fresh daemon, for scripts and for trying things out.

import ArgumentParser
import Glibc
import JSON
import JSONRPC
import PipeClient

struct Call: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Send one request, or a few in a row, to a fresh daemon and print the results.",
    discussion: """
      Prints each result as indented JSON. A request that fails prints its error object to standard error and ends \
      the row with exit code 1.

      EXAMPLES:
        espalier call server/status
        espalier call plugin/describe - < params.json
        espalier call --load builtin:sapling \\
          model/describe '{"model": "sapling"}'
        espalier call model/load '{"source": "builtin:sapling"}' \\
          importance/score '{"model": "sapling", "plugin": "magnitude"}'
      """)

  @Argument(
    help: """
      METHOD [PARAMS], as often as needed: params are a JSON object or array, or - to read them from standard input.
      """)
  var requests: [String]

  @Option(
    name: .customLong("load"),
    help: "Load a model first, under its own name: a folder, a .gguf file or builtin:sapling. May be repeated.")
  var sources: [String] = []

  @OptionGroup var daemon: DaemonOptions

  private struct Step {
    let method: String
    var params: JSON?
    var isShown = true
  }

  func validate() throws { _ = try steps(standardInput: { [0x7b, 0x7d] }) }

  func run() throws {
    let loads = sources.map { Step(method: "model/load", params: ["source": .string($0)], isShown: false) }
    let steps = try loads + steps(standardInput: Self.readStandardInput)
    let status = StatusLine()
    do {
      try daemon.withDaemon(status) { client in
        for step in steps {
          let result = try client.call(step.method, step.params, onProgress: Self.watching(status, step))
          status.clear()
          if step.isShown { try printJSON(result) }
        }
      }
    } catch PipeClientError.refused(let error, _) {
      printError(String(decoding: try error.json.prettyPrinted(), as: UTF8.self))
      throw ExitCode(1)
    }
  }

  /// Asks for progress where somebody sees it and the params have room for the token.
  private static func watching(_ status: StatusLine, _ step: Step) -> ((CallProgress) -> Void)? {
    guard status.isTerminal, step.params?.object != nil, step.params?["workDoneToken"] == nil else { return nil }
    return { status.show("\(step.method)  \($0.text)") }
  }

  /// The arguments as methods with their params.
  /// - Parameter standardInput: what stands for `-`.
  private func steps(standardInput: () -> [UInt8]) throws -> [Step] {
    var steps: [Step] = []
    for argument in requests {
      let isParams = argument == "-" || argument.first == "{" || argument.first == "["
      if !isParams {
        steps.append(Step(method: argument))
        continue
      }
      guard let last = steps.indices.last, steps[last].params == nil else {
        throw ValidationError("\(argument) stands where a method is expected, as model/list.")
      }
      do throws(JSONError) {
        steps[last].params = try JSON.parse(argument == "-" ? standardInput() : Array(argument.utf8))
      } catch {
        throw ValidationError("The params of \(steps[last].method) are no JSON. \(error.message)")
      }
      guard steps[last].params?.object != nil || steps[last].params?.array != nil else {
        throw ValidationError("The params of \(steps[last].method) must be a JSON object or array.")
      }
    }
    return steps
  }

  private static func readStandardInput() -> [UInt8] {
    var all: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 64 << 10)
    while all.count <= JSONLimits.message.bytes {
      let count = piece.withUnsafeMutableBytes { read(0, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { break }
      all += piece[..<count]
    }
    return all
  }
}
