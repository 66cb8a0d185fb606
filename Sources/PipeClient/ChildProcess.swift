// A child process with pipes at its input and output. Knows nothing of frames.
//
//   we write  standardInput  ──pipe──▶ 0  child
//   we read   standardOutput ◀──pipe── 1
//                                      2  ours, or nowhere

@preconcurrency import Glibc  // `environ` is a variable; nothing here changes it
import Synchronization
import Threads

/// How a process ended.
package enum ProcessEnd: Sendable, Equatable {
  case exited(Int32)
  case killed(signal: Int32)
}

/// What to start.
package struct ProcessCommand: Sendable {
  package var executable: String
  /// Without the name of the program.
  package var arguments: [String]
  /// Variables set in addition to our own.
  package var environment: [String: String]
  /// Whether the child's standard error goes nowhere instead of to ours.
  package var isQuiet: Bool

  package init(
    executable: String, arguments: [String] = [], environment: [String: String] = [:], isQuiet: Bool = false
  ) {
    self.executable = executable
    self.arguments = arguments
    self.environment = environment
    self.isQuiet = isQuiet
  }

  /// The daemon of the running program.
  package static func daemon(arguments: [String] = []) -> ProcessCommand {
    ProcessCommand(executable: ownExecutable, arguments: ["serve"] + arguments)
  }

  /// The file of the running program by its name, or the link of the kernel if the file has been replaced.
  package static var ownExecutable: String {
    let link = "/proc/self/exe"
    guard let path = realpath(link, nil) else { return link }
    defer { free(path) }
    return String(cString: path)
  }
}

/// A child process, from its start until it has been waited for, which happens by itself.
package final class ChildProcess: Sendable {
  package let id: Int32
  /// Where its input is written and its output is read. Both belong to whoever speaks with the process, who closes them.
  package let standardInput: Int32
  package let standardOutput: Int32

  /// Whether `id` still names the process.
  private let isNamed = Mutex(true)
  private let ended = Mailbox<ProcessEnd>()

  /// No other start may come between opening a pipe and marking its ends, or that child would hold them open.
  private static let starting = Mutex(())

  /// Starts a process. SIGPIPE is ignored in this process from now on, and reset in the child.
  /// - Throws: `cannotStart`, `noThread`.
  package init(_ command: ProcessCommand) throws(PipeClientError) {
    Glibc.signal(SIGPIPE, SIG_IGN)
    (id, standardInput, standardOutput) = try Self.starting.withLock { _ throws(PipeClientError) in
      try Self.start(command)
    }
    guard startThread(named: "reap child", { [self] in reap() }) else {
      close(standardInput)
      close(standardOutput)
      kill(id, SIGKILL)
      waitpid(id, nil, 0)
      throw .noThread
    }
  }

  /// Waits until the process has ended; nil if that takes longer than `seconds`. Any thread may ask, any number of times.
  package func wait(within seconds: Double = .infinity) -> ProcessEnd? {
    guard let status = ended.take(by: Deadline(in: seconds)) else { return nil }
    ended.put(status)  // for the next who asks
    return status
  }

  /// Sends a signal, unless the process has ended.
  package func signal(_ number: Int32) {
    isNamed.withLock { isNamed in
      if isNamed { kill(id, number) }
    }
  }

  /// The thread that waits for the end. Until the last moment the id stays taken, so that no signal hits a stranger.
  private func reap() {
    var information = siginfo_t()
    while waitid(P_PID, id_t(id), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
    var status: Int32 = 0
    isNamed.withLock { isNamed in
      waitpid(id, &status, 0)
      isNamed = false
    }
    let signal = status & 0x7f
    ended.put(signal == 0 ? .exited(status >> 8 & 0xff) : .killed(signal: signal))
  }

  private static func start(
    _ command: ProcessCommand
  ) throws(PipeClientError) -> (id: Int32, standardInput: Int32, standardOutput: Int32) {
    func failed(_ number: Int32) -> PipeClientError { .cannotStart(path: command.executable, errno: number) }
    let input = try openPipe(failed)
    let output: PipeEnds
    do throws(PipeClientError) {
      output = try openPipe(failed)
    } catch {
      close(input.reading)
      close(input.writing)
      throw error
    }
    var id = pid_t()
    let status = spawn(command, input: input.reading, output: output.writing, id: &id)
    close(input.reading)
    close(output.writing)
    guard status == 0 else {
      close(input.writing)
      close(output.reading)
      throw failed(status)
    }
    return (id, input.writing, output.reading)
  }

  /// posix_spawn(3), which answers with an errno.
  private static func spawn(_ command: ProcessCommand, input: Int32, output: Int32, id: inout pid_t) -> Int32 {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, input, 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    if command.isQuiet { posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0) }

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigaddset(&signals, SIGPIPE)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

    var arguments = (["espalier"] + command.arguments).map { strdup($0) } + [nil]
    var environment = inheritedEnvironment(without: command.environment.keys)
    environment += command.environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for copy in arguments + environment { free(copy) } }
    return posix_spawn(&id, command.executable, &actions, &attributes, &arguments, &environment)
  }

  /// Copies of our variables but those of these names.
  private static func inheritedEnvironment(without names: some Collection<String>) -> [UnsafeMutablePointer<CChar>?] {
    var copies: [UnsafeMutablePointer<CChar>?] = []
    var next: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = environ
    while let current = next, let entry = current.pointee {
      if !names.contains(where: { strncmp(entry, $0 + "=", $0.utf8.count + 1) == 0 }) { copies.append(strdup(entry)) }
      next = current + 1
    }
    return copies
  }

  private struct PipeEnds { var reading: Int32, writing: Int32 }

  /// A pipe whose ends no other program inherits.
  private static func openPipe(_ failed: (Int32) -> PipeClientError) throws(PipeClientError) -> PipeEnds {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw failed(errno) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return PipeEnds(reading: ends[0], writing: ends[1])
  }
}
