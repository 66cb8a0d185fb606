// A server on a thread of the tests' own process, and what a client needs to talk to it: the ends of its pipes.

import Foundation
import JSON
import JSONRPC
import PipeClient
import Server
import Testing
import Threads

/// The two ends of a pipe.
struct PipeEnds {
  let reading: Int32
  let writing: Int32

  init() {
    signal(SIGPIPE, SIG_IGN)
    var ends: [Int32] = [-1, -1]
    #expect(pipe(&ends) == 0)
    (reading, writing) = (ends[0], ends[1])
  }
}

/// `serve` on a thread of its own.
final class TestServer: Sendable {
  /// What the client writes to and reads from.
  let input: Int32
  let output: Int32
  /// What `serve` returned, and what it asked the process to end with.
  private let outcome = Gate<(returned: Int32?, ended: Int32?)>((nil, nil))

  init(maximumBodyBytes: Int = 1 << 20) throws {
    let input = PipeEnds(), output = PipeEnds()
    (self.input, self.output) = (input.writing, output.reading)
    let options = ServeOptions(
      input: input.reading, output: output.writing, threads: 2, maximumBodyBytes: maximumBodyBytes,
      end: { [outcome] code in outcome.withLock { $0.ended = code } })
    let isStarted = startThread(named: "test server") { [outcome] in
      let code = serve(options: options)
      close(input.reading)
      outcome.withLock { $0.returned = code }
    }
    try #require(isStarted)
  }

  /// The exit code that `serve` returned; nil if it does not return in time.
  func exitCode(within seconds: Double = 20) -> Int32? { outcome.wait(atMost: seconds) { $0.returned } }

  /// The exit code with which the server wanted to end the process on the spot; nil if it does not in time.
  func abruptEnd(within seconds: Double = 20) -> Int32? { outcome.wait(atMost: seconds) { $0.ended } }
}

/// A client that sends bodies as they are and takes answers in any order.
final class Peer {
  let server: TestServer
  /// Messages that nobody took yet, and whether there will be more.
  private let inbox = Gate<(messages: [JSON], isOpen: Bool)>(([], true))
  private var isInputOpen = true
  /// Notifications that came before the answers that were asked for.
  private(set) var notifications: [JSON] = []

  /// - Parameter isInitialized: whether the session is open already.
  init(isInitialized: Bool = true, maximumBodyBytes: Int = 1 << 20) throws {
    server = try TestServer(maximumBodyBytes: maximumBodyBytes)
    startThread(named: "test reader") { [inbox, output = server.output] in
      let reader = FrameReader(descriptor: output)
      while case .body(let body) = reader.next(), let json = try? JSON.parse(body) {
        inbox.withLock { $0.messages.append(json) }
      }
      close(output)
      inbox.withLock { $0.isOpen = false }
    }
    guard isInitialized else { return }
    send(#"{"jsonrpc": "2.0", "id": "begin", "method": "initialize", "params": {}}"#)
    #expect(next()?["result"] != nil)
  }

  deinit {
    if isInputOpen { close(server.input) }
  }

  /// Sends these bodies, each in a frame, in one write.
  func send(_ bodies: String...) {
    let bytes = bodies.flatMap { Frame.encode($0.utf8) }
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { write(server.input, $0.baseAddress.map { $0 + done }, bytes.count - done) }
      guard count > 0 else { return }
      done += count
    }
  }

  func closeInput() {
    close(server.input)
    isInputOpen = false
  }

  /// The next message that is no notification; nil at the end of the output, and if none comes in time.
  func next(within seconds: Double = 20) -> JSON? {
    while true {
      let message: JSON?? = inbox.wait(atMost: seconds) { inbox in
        guard inbox.messages.isEmpty else { return .some(inbox.messages.removeFirst()) }
        return inbox.isOpen ? nil : .some(nil)
      }
      guard case .some(.some(let json)) = message else { return nil }
      if json["method"] == nil { return json }
      notifications.append(json)
    }
  }

  /// The next answer in short: `id: result` or `id: code kind`.
  func nextShort() -> String? { next().map(Self.short) }

  static func short(_ answer: JSON) -> String {
    let id = (try? answer["id"]?.serialized()).map { String(decoding: $0, as: UTF8.self) } ?? "no id"
    guard let error = answer["error"] else { return "\(id): " + (answer["result"] == nil ? "nothing" : "result") }
    return "\(id): \(error["code"]?.integer ?? 0) \(error["data"]?["kind"]?.string ?? "without a kind")"
  }
}

/// The code and the kind of an error, as tables write them down.
struct Refusal: Equatable, CustomStringConvertible {
  let code: Int
  let kind: String

  init(_ code: Int, _ kind: String) {
    self.code = code
    self.kind = kind
  }

  init(_ error: ResponseError) { self.init(error.code.rawValue, error.kind ?? "without a kind") }

  var description: String { "\(code) \(kind)" }
}

extension Client {
  /// How a request is refused; nil if it is not.
  func refusal(_ method: String, _ params: JSON? = nil) throws -> Refusal? {
    do throws(PipeClientError) {
      _ = try call(method, params, within: 60)
      return nil
    } catch {
      guard case .refused(let error, _) = error else { throw error }
      return Refusal(error)
    }
  }
}
