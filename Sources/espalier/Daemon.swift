// A daemon of our own for the other subcommands: started, used, ended.

import ArgumentParser
import JSON
import PipeClient

/// What can be said about that daemon.
struct DaemonOptions: ParsableArguments {
  @Option(help: "Threads that compute. Default: as many as there are processors.")
  var threads: Int?

  /// Starts a daemon, opens the session, lets `body` work and closes the session.
  /// - Parameter status: what the daemon warns of appears above it.
  func withDaemon<R>(_ status: StatusLine, _ body: (Client) throws -> R) throws -> R {
    let arguments = threads.map { ["--threads", "\($0)"] } ?? []
    let client = try Client(starting: .daemon(arguments: arguments)) { line in
      if line.type <= 2 { status.note("espalier: " + line.text) }
    }
    do {
      try client.initialize()
      let result = try body(client)
      status.clear()
      try client.end()
      return result
    } catch {
      status.clear()
      throw error
    }
  }
}

/// Writes a result as indented JSON to standard output.
func printJSON(_ json: JSON) throws { print(String(decoding: try json.prettyPrinted(), as: UTF8.self)) }
