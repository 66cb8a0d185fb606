// Our end of the daemon's input. Any thread may send; what one sends is never interleaved with what another does.

import Glibc
import Synchronization

/// The owner of a descriptor that bytes are written to.
package final class FrameSender: Sendable {
  /// nil once it is closed.
  private let descriptor: Mutex<Int32?>

  /// - Parameter descriptor: belongs to the sender from now on, and no longer blocks.
  package init(descriptor: Int32) {
    let flags = fcntl(descriptor, F_GETFL)
    _ = fcntl(descriptor, F_SETFL, flags | O_NONBLOCK)
    self.descriptor = Mutex(descriptor)
  }

  deinit { close() }

  /// Writes all of `bytes`. After `timedOut` a part of them may have been written: the sender is then of no more use,
  /// and closed. Others who send meanwhile wait.
  /// - Throws: `inputClosed` if nobody reads any more, or `close` was called; `timedOut`.
  package func send(_ bytes: [UInt8], within seconds: Double = .infinity) throws(PipeClientError) {
    let deadline = Deadline(in: seconds)
    try descriptor.withLock { descriptor throws(PipeClientError) in
      guard let open = descriptor else { throw .inputClosed }
      var done = 0
      while done < bytes.count {
        let count = bytes.withUnsafeBytes { Glibc.write(open, $0.baseAddress.map { $0 + done }, $0.count - done) }
        if count >= 0 {
          done += count
          continue
        }
        switch errno {
        case EINTR: continue
        case EAGAIN:
          var wait = pollfd(fd: open, events: Int16(POLLOUT), revents: 0)
          if poll(&wait, 1, deadline.millisecondsLeft) != 0 { continue }
          Glibc.close(open)
          descriptor = nil
          throw .timedOut(waitingFor: "the daemon to read its input", seconds: seconds)
        default: throw .inputClosed
        }
      }
    }
  }

  /// Ends the daemon's input. May be called repeatedly.
  package func close() {
    descriptor.withLock { descriptor in
      if let open = descriptor { Glibc.close(open) }
      descriptor = nil
    }
  }
}
