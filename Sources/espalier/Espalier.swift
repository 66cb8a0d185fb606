// The program: its subcommands and its exit codes. One file per subcommand; no file here knows a model.

import ArgumentParser
import Glibc
import PipeClient
import Server

@main
struct Espalier: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "espalier",
    abstract: "Prunes language models interactively: a daemon that speaks JSON-RPC, and a few tools around it.",
    discussion: """
      Without a subcommand it is the daemon: it reads JSON-RPC 2.0 messages on standard input and answers on standard \
      output, framed as in the Language Server Protocol. It keeps models resident, loads pruning criteria as shared \
      libraries, and answers importance scores, mask edits and perplexity.

      EXAMPLES:
        espalier quickstart           the main job on the built-in model
        espalier generate "Once"      the built-in model writes on
        espalier plugin list          the pruning criteria that are found
        espalier call server/status   one request to a fresh daemon

      EXIT CODES:
        0 success, 1 failure, 2 wrong arguments
      """,
    version: espalierVersion,
    subcommands: [Serve.self, Quickstart.self, Generate.self, Call.self, Plugin.self, Bench.self],
    defaultSubcommand: Serve.self)

  /// The subcommands as they are written.
  private static var names: [String] { configuration.subcommands.map { $0._commandName } + ["help"] }

  static func main() {
    if let name = CommandLine.arguments.dropFirst().first, !name.hasPrefix("-"), !names.contains(name) {
      printError("espalier: there is no subcommand \(name); expected one of \(names.joined(separator: ", ")).")
      Glibc.exit(2)
    }
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let error as PipeClientError {
      printError("espalier: " + error.message)
      Glibc.exit(1)
    } catch {
      if exitCode(for: error) == .validationFailure {
        printError(fullMessage(for: error))
        Glibc.exit(2)
      }
      Self.exit(withError: error)
    }
  }
}
