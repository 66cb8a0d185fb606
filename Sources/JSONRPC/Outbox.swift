// Everything that leaves: the one owner of the output descriptor. Any thread may send; one thread writes, so that no
// frame is ever interleaved with another. What waits is bounded: when the client reads slowly, answers make their
// sender wait (and in the end the reader of requests, which is the back-pressure), progress keeps only its latest
// report per token, and log lines are dropped and counted.

import Glibc
package import JSON
import Threads

package final class Outbox: Sendable {
  private struct State {
    var queue: OutboxQueue
    /// Nothing more is taken.
    var isClosed = false
    var writerHasEnded = false
  }

  let descriptor: Int32
  private let gate: Gate<State>
  private let clientGone: @Sendable (Int32) -> Void

  /// Starts the writer, which runs until `finish`.
  /// - Parameters:
  ///   - descriptor: belongs to the outbox from now on; it is closed when the outbox is finished.
  ///   - capacity: bytes that may wait; a single larger frame goes out alone.
  ///   - clientGone: called once, on the writer's thread, with the errno of the write that failed; whatever is sent
  ///     afterwards is ignored.
  /// - Throws: `noThread`.
  package init(
    descriptor: Int32, capacity: Int = 16 << 20, clientGone: @escaping @Sendable (_ errno: Int32) -> Void = { _ in }
  ) throws(OutboxError) {
    self.descriptor = descriptor
    self.clientGone = clientGone
    gate = Gate(State(queue: OutboxQueue(capacity: capacity)))
    guard startThread(named: "outbox", { self.write() }) else { throw .noThread }
  }

  /// Sends a message that must arrive; waits while the outbox is full.
  package func send(_ message: JSON) throws(JSONError) { send(body: try message.serialized()) }

  /// Sends the body of a message that must arrive; waits while the outbox is full.
  package func send(body: [UInt8]) {
    let frame = Frame.encode(body)
    _ = gate.wait { state in
      if state.isClosed { return true }
      guard state.queue.hasRoom(for: frame.count) else { return nil as Bool? }
      state.queue.append(frame)
      return true
    }
  }

  /// Sends a message that makes the one sent before under `key` worthless: replaces that if it still waits.
  /// Never waits; forgets the message if there is no room.
  package func send(latest message: JSON, key: String) throws(JSONError) {
    let frame = Frame.encode(try message.serialized())
    gate.withLock { state in
      if !state.isClosed { state.queue.appendLatest(frame, key: key) }
    }
  }

  /// Sends a message at once or not at all, which a client that reads slowly may bring about. Never waits.
  /// - Returns: false if there was no room for it.
  package func sendNow(_ message: JSON) throws(JSONError) -> Bool {
    let frame = Frame.encode(try message.serialized())
    return gate.withLock { state in
      if state.isClosed { return true }
      guard state.queue.hasRoom(for: frame.count) else { return false }
      state.queue.append(frame)
      return true
    }
  }

  /// Sends a message that may be lost. Never waits.
  /// - Parameter message: makes the message, given how many were lost since one last went out.
  package func sendIfRoom(_ message: (_ lost: Int) -> JSON) throws(JSONError) {
    let lost = gate.withLock { $0.queue.takeDropped() }
    let body: [UInt8]
    do throws(JSONError) {
      body = try message(lost).serialized()
    } catch {
      gate.withLock { $0.queue.countDropped(lost) }
      throw error
    }
    let frame = Frame.encode(body)
    gate.withLock { state in
      guard !state.isClosed else { return }
      if state.queue.hasRoom(for: frame.count) {
        state.queue.append(frame)
      } else {
        state.queue.countDropped(lost + 1)
      }
    }
  }

  /// Takes nothing more, and waits until everything is written and the descriptor is closed. May be called repeatedly.
  /// - Returns: false if that took longer than `seconds`; the writer then goes on by itself.
  @discardableResult
  package func finish(within seconds: Double = .infinity) -> Bool {
    gate.withLock { $0.isClosed = true }
    return gate.wait(atMost: seconds) { $0.writerHasEnded ? true : nil } ?? false
  }

  /// The writer's thread.
  private func write() {
    // No signal is handled here, and a write to a closed pipe must fail instead of killing the process.
    var all = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_BLOCK, &all, nil)
    while let frame = nextFrame() {
      guard let failure = writeAll(frame) else {
        gate.withLock { $0.queue.finishFrame() }
        continue
      }
      gate.withLock { state in
        state.isClosed = true
        state.queue.removeAll()
      }
      clientGone(failure)
    }
    close(descriptor)
    gate.withLock { $0.writerHasEnded = true }
  }

  /// Waits for a frame; nil when no more will come.
  private func nextFrame() -> [UInt8]? {
    let next: [UInt8]?? = gate.wait { state in
      if let frame = state.queue.next() { return .some(frame) }
      return state.isClosed ? .some(nil) : nil
    }
    return next ?? nil
  }

  /// Writes a whole frame; the errno if that is impossible.
  private func writeAll(_ frame: [UInt8]) -> Int32? {
    frame.withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        if count >= 0 {
          rest = rest.dropFirst(count)
        } else if errno == EAGAIN {
          var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
          _ = poll(&wait, 1, -1)
        } else if errno != EINTR {
          return errno
        }
      }
      return nil
    }
  }
}

package enum OutboxError: Error, Sendable, Equatable {
  case noThread

  package var kind: String { "noThread" }
  package var message: String {
    switch self {
    case .noThread:
      "No thread could be started to write the output; raise the limit on threads or free memory."
    }
  }
}
