// The pipe without JSON-RPC: any bytes out, frames in. For those who must send what no client would.

import Glibc
package import JSON
package import JSONRPC
import Threads

/// A daemon as a child, spoken to in bytes.
package final class RawClient: Sendable {
  package let process: ChildProcess
  private let sender: FrameSender
  private let events = Mailbox<FrameEvent>()

  /// - Parameter isReading: false leaves the daemon's output unread, as a client that hangs would.
  package init(_ command: ProcessCommand, isReading: Bool = true) throws(PipeClientError) {
    process = try ChildProcess(command)
    sender = FrameSender(descriptor: process.standardInput)
    if isReading {
      let events = events
      try startReading(process.standardOutput) { events.put($0) }
    }
  }

  package func send(_ bytes: [UInt8], within seconds: Double = 10) throws(PipeClientError) {
    try sender.send(bytes, within: seconds)
  }

  /// Sends `body` in a frame.
  package func send(body: String, within seconds: Double = 10) throws(PipeClientError) {
    try send(Frame.encode(body.utf8), within: seconds)
  }

  /// Ends the daemon's input.
  package func closeInput() { sender.close() }

  /// The next frame, problem or end; nil if none comes within `seconds`.
  package func next(within seconds: Double = 10) -> FrameEvent? { events.take(by: Deadline(in: seconds)) }

  /// The body of the next frame as JSON; nil if something else comes, or nothing within `seconds`.
  package func nextJSON(within seconds: Double = 10) -> JSON? {
    guard case .body(let body)? = next(within: seconds) else { return nil }
    return try? JSON.parse(body, limits: .file)
  }
}

/// Reads frames on a thread of its own until the input ends, then closes the descriptor.
/// - Parameter receive: called on that thread with every event, the end last.
func startReading(
  _ descriptor: Int32, receive: @escaping @Sendable (FrameEvent) -> Void
) throws(PipeClientError) {
  let isStarted = startThread(named: "read frames") {
    let reader = FrameReader(descriptor: descriptor, limits: FrameLimits(bodyBytes: 1 << 30))
    while true {
      let event = reader.next()
      if event == .end { break }
      receive(event)
    }
    close(descriptor)
    receive(.end)
  }
  guard isStarted else { throw .noThread }
}
