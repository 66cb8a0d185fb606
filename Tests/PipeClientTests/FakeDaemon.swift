// A daemon that is a closure on a thread of the test, at the other ends of a client's pipes; and shells as daemons.

import Foundation
import JSON
import JSONRPC
import Synchronization
import Testing

@testable import PipeClient

/// Calls `answer` with every message that the client sends, in order.
final class FakeDaemon: Sendable {
  private let output: FrameSender
  private let received = Mutex<[JSON]>([])

  /// - Returns: the client of a new daemon.
  static func client(
    onLog: @escaping @Sendable (LogLine) -> Void = { _ in },
    _ answer: @escaping @Sendable (_ message: JSON, _ daemon: FakeDaemon) -> Void
  ) throws -> Client {
    var input: [Int32] = [0, 0]
    var output: [Int32] = [0, 0]
    try #require(pipe(&input) == 0 && pipe(&output) == 0)
    let (reading, daemon) = (input[0], FakeDaemon(output: output[1]))
    Thread {
      let reader = FrameReader(descriptor: reading, limits: FrameLimits(bodyBytes: 1 << 30))
      while case .body(let body) = reader.next() {
        guard let message = try? JSON.parse(body, limits: .file) else { continue }
        answer(message, daemon)
      }
      daemon.output.close()
      close(reading)
    }.start()
    return try Client(reading: output[0], writing: input[1], onLog: onLog)
  }

  private init(output: Int32) { self.output = FrameSender(descriptor: output) }

  func send(_ bytes: [UInt8]) { try? output.send(bytes) }
  func send(_ message: JSON) { send((try? Frame.encode(message.serialized())) ?? []) }
  func reply(to message: JSON, _ result: JSON) {
    send(["jsonrpc": "2.0", "id": message["id"] ?? nil, "result": result])
  }
  func fail(_ message: JSON, _ error: ResponseError) {
    send(Response(id: RequestID(message["id"]), result: .failure(error)).json)
  }
  func notify(_ method: String, _ params: JSON) {
    send(["jsonrpc": "2.0", "method": .string(method), "params": params])
  }
  /// Ends the client's input.
  func end() { output.close() }

  /// Keeps a message for later, and says how many are kept.
  func keep(_ message: JSON) -> [JSON] {
    received.withLock { kept in
      kept.append(message)
      return kept
    }
  }
}

/// A daemon that is a shell script.
func shell(_ script: String, environment: [String: String] = [:]) -> ProcessCommand {
  ProcessCommand(executable: "/bin/sh", arguments: ["-c", script], environment: environment, isQuiet: true)
}

/// The error that `body` throws.
func failure(_ body: () throws -> Void) -> PipeClientError? {
  do {
    try body()
    return nil
  } catch {
    return error as? PipeClientError
  }
}
