// How the process ends: by the client's word, or because the client is gone.

import Glibc
import Synchronization
import Threads

/// Knows the exit code, and ends the process when there is nobody left to answer.
final class Ending: Sendable {
  private let shutdownReceived = Atomic<Bool>(false)
  private let end: @Sendable (Int32) -> Void
  private let cancelWork = Mutex<@Sendable () -> Void>({})

  init(end: @escaping @Sendable (Int32) -> Void) { self.end = end }

  /// 0 if `shutdown` was received, otherwise 1. (LSP 3.17, exit)
  var exitCode: Int32 { shutdownReceived.load(ordering: .acquiring) ? 0 : 1 }
  var isShuttingDown: Bool { shutdownReceived.load(ordering: .acquiring) }
  func noteShutdown() { shutdownReceived.store(true, ordering: .releasing) }

  func onClientGone(_ cancel: @escaping @Sendable () -> Void) { cancelWork.withLock { $0 = cancel } }

  /// The parent process died or the output is closed: nothing can be answered any more.
  func clientIsGone() {
    cancelWork.withLock { $0 }()
    end(exitCode)
  }
}

/// Calls `gone` once process `pid` has ended; at once if there is no such process.
func watchProcess(_ pid: Int32, gone: @escaping @Sendable () -> Void) {
  startThread(named: "parent-watch") {
    waitForProcess(pid)
    gone()
  }
}

/// Writes a line to the standard error, for what cannot be told to a client.
func complain(_ message: String) {
  let line = Array("espalier: \(message)\n".utf8)
  _ = write(STDERR_FILENO, line, line.count)
}
