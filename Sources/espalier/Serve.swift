// The daemon: arguments, file descriptors, signals, exit code. Everything else is the Server's.

import ArgumentParser
import Glibc
import Server
import Synchronization

struct Serve: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Serve JSON-RPC on standard input and output. What is done without a subcommand.",
    discussion: """
      Ends when the client sends exit, when standard input ends, when the process that started it ends, and on \
      SIGTERM. The exit code is 0 if the client asked for it with shutdown and exit, and after SIGTERM; else it is 1. \
      Standard output carries nothing but frames: whatever plugins and libraries print goes to standard error.
      """)

  @Flag(name: .customLong("stdio"), help: "Serve standard input and output, as is always done; editors say so.")
  var usesStandardStreams = false

  @Option(name: .customLong("clientProcessId"), help: "A process whose end ends the daemon.")
  var clientProcessId: Int32?

  @Option(help: "Threads that compute. Default: as many as there are processors.")
  var threads: Int?

  @Option(name: .customLong("max-body-bytes"), help: "The longest message that is read; longer ones are refused.")
  var maximumBodyBytes = 64 << 20

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads is \(threads); expected a number from 1 to 1024.")
    }
    if let clientProcessId, clientProcessId < 1 {
      throw ValidationError("--clientProcessId is \(clientProcessId); expected the id of a process.")
    }
    guard (1024...1 << 30).contains(maximumBodyBytes) else {
      throw ValidationError("--max-body-bytes is \(maximumBodyBytes); expected 1024 to 1073741824 (1 GiB).")
    }
  }

  func run() throws {
    if isatty(0) == 1 {
      printError(
        "espalier: waiting for JSON-RPC messages; programs speak to me so. For a first look: espalier quickstart,"
          + " espalier --help. End with ctrl-D.")
    }
    let streams = StandardStreams.takeOver()
    Termination.prepare(input: streams.input)
    let code = serve(
      options: ServeOptions(
        input: streams.input, output: streams.output, clientProcessId: clientProcessId, threads: threads,
        maximumBodyBytes: maximumBodyBytes, end: Self.leave))
    Self.leave(code)
  }

  /// Ends the process at once: threads of libraries may still run, and destructors would pull memory from under them.
  private static let leave: @Sendable (_ code: Int32) -> Void = { _exit(Termination.wasAsked ? 0 : $0) }
}

/// The descriptors of the protocol, out of reach of plugins, libraries and children.
private struct StandardStreams {
  let input: Int32
  let output: Int32

  /// Moves standard input and output to descriptors of our own. What then reads 0 finds nothing, and what writes to 1
  /// writes to standard error.
  static func takeOver() -> StandardStreams {
    // All three must be taken, or the next file that is opened becomes standard output.
    var null: Int32 = 0
    repeat { null = open("/dev/null", O_RDWR | O_CLOEXEC) } while (0...2).contains(null)
    let input = fcntl(0, F_DUPFD_CLOEXEC, 3)
    let output = fcntl(1, F_DUPFD_CLOEXEC, 3)
    dup2(null, 0)
    dup2(2, 1)
    close(null)
    // Writing to a client that is gone, or beyond what a file may hold, must fail instead of ending the process.
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)  // a file size limit is an error of the write, not the end of every resident model
    signal(SIGXFSZ, SIG_IGN)
    return StandardStreams(input: input, output: output)
  }
}

/// SIGTERM, SIGINT and SIGHUP end the daemon as the end of its input does; a second one ends it at once.
///
/// The handler puts an empty file in the place of the input. A read that waits is interrupted by the signal, which the
/// kernel hands to the main thread, and finds the end when it is tried again.
private enum Termination {
  /// Descriptors for the handler, and whether it has run.
  private static let input = Atomic<Int32>(-1)
  private static let empty = Atomic<Int32>(-1)
  private static let asked = Atomic<Bool>(false)

  static var wasAsked: Bool { asked.load(ordering: .acquiring) }

  static func prepare(input descriptor: Int32) {
    input.store(descriptor, ordering: .releasing)
    empty.store(open("/dev/null", O_RDONLY | O_CLOEXEC), ordering: .releasing)
    _ = wasAsked  // initialised before any signal comes
    var action = sigaction()
    action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND))  // no SA_RESTART: a read that waits must return
    action.__sigaction_handler.sa_handler = { _ in
      let interrupted = errno
      dup2(Termination.empty.load(ordering: .acquiring), Termination.input.load(ordering: .acquiring))
      Termination.asked.store(true, ordering: .releasing)
      errno = interrupted
    }
    for number in [SIGTERM, SIGINT, SIGHUP] { sigaction(number, &action, nil) }
  }
}
