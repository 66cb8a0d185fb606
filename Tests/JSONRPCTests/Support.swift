// Descriptors and threads for the tests: pipes fed in chosen pieces, a connection with a client at its other end.

import Foundation
import JSON
import JSONRPC
import Synchronization
import Testing

/// The two ends of a pipe.
struct Pipe {
  let reading: Int32
  let writing: Int32

  init() {
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0)
    (reading, writing) = (ends[0], ends[1])
  }
}

func writeAll(_ bytes: some Collection<UInt8>, to descriptor: Int32) {
  var rest = Array(bytes)[...]
  while !rest.isEmpty {
    let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    guard count > 0 else { return }
    rest = rest.dropFirst(count)
  }
}

/// Writes the pieces one after another, each only when the one before has been read, then closes the descriptor.
func feed(_ pieces: [[UInt8]], to pipe: Pipe) -> Thread {
  let thread = Thread {
    for piece in pieces {
      writeAll(piece, to: pipe.writing)
      var unread: Int32 = 1
      while ioctl(pipe.reading, UInt(FIONREAD), &unread) == 0, unread > 0 { usleep(10) }
    }
    close(pipe.writing)
  }
  thread.start()
  return thread
}

/// Everything a reader finds in `pieces`, without the end.
func events(in pieces: [[UInt8]], limits: FrameLimits = FrameLimits()) -> [FrameEvent] {
  let pipe = Pipe()
  let thread = feed(pieces, to: pipe)
  let reader = FrameReader(descriptor: pipe.reading, limits: limits)
  var events: [FrameEvent] = []
  while true {
    let event = reader.next()
    if event == .end { break }
    events.append(event)
  }
  #expect(reader.next() == .end, "the end must last")
  while !thread.isFinished { usleep(10) }
  close(pipe.reading)
  return events
}

func frame(_ body: String) -> [UInt8] { Frame.encode(Array(body.utf8)) }

/// Waits until `condition` holds, at most ten seconds.
func eventually(_ condition: () -> Bool) -> Bool {
  for _ in 0..<10_000 {
    if condition() { return true }
    usleep(1000)
  }
  return false
}

/// A connection on a thread of its own and the client's ends of its pipes.
final class Session: Sendable {
  let input = Pipe()
  let output = Pipe()
  let outbox: Outbox
  private let end = Mutex<ConnectionEnd?>(nil)
  private let limits: FrameLimits

  init(limits: FrameLimits = FrameLimits(), handler: EchoHandler) throws {
    self.limits = limits
    outbox = try Outbox(descriptor: output.writing)
    Thread { [self] in
      let connection = Connection(descriptor: input.reading, outbox: outbox, limits: limits)
      let end = connection.run(handler: handler)
      #expect(eventually { handler.late.withLock { $0 } == 0 })
      outbox.finish()
      self.end.withLock { $0 = end }
    }.start()
  }

  /// Sends `bytes`, ends the input, and returns the bodies that come back.
  func answers(to bytes: [UInt8]) throws -> [JSON] {
    let writing = input.writing
    Thread {
      writeAll(bytes, to: writing)
      close(writing)
    }.start()
    let reader = FrameReader(descriptor: output.reading)
    var answers: [JSON] = []
    loop: while true {
      switch reader.next() {
      case .end: break loop
      case .body(let body): answers.append(try JSON.parse(body))
      case .problem(let problem): Issue.record("the connection wrote a bad frame: \(problem)")
      }
    }
    #expect(eventually { connectionEnd != nil })
    close(output.reading)
    close(input.reading)
    return answers
  }

  var connectionEnd: ConnectionEnd? { end.withLock { $0 } }
}

/// Answers `echo` with its params, `later` from another thread, `never` not at all, `bad` with a NaN, and everything
/// else with -32601; keeps what else it is told.
final class EchoHandler: ConnectionHandler, Sendable {
  let log = Mutex<[String]>([])
  /// Answers that other threads still owe.
  let late = Mutex(0)

  func handle(request: Request, responder: Responder) {
    note("request \(request.method)")
    switch request.method {
    case "echo": responder.reply(request.params ?? .null)
    case "later":
      late.withLock { $0 += 1 }
      Thread { [self] in
        usleep(2000)
        responder.reply("late")
        late.withLock { $0 -= 1 }
      }.start()
    case "never": break
    case "twice":
      responder.reply(1)
      responder.reply(2)
      responder.fail(ResponseError(.internalError, "no"))
    case "bad": responder.reply(["loss": .number(.nan)])
    default:
      responder.fail(ResponseError(.methodNotFound, kind: "methodNotFound", "There is no method \(request.method)."))
    }
  }

  func handle(notification: JSONRPC.Notification) -> ConnectionFlow {
    note("notification \(notification.method)")
    return notification.method == "stop" ? .stop : .proceed
  }

  func handle(response: Response) { note("response \(response.id.map { "\($0)" } ?? "null")") }
  func noticed(_ error: ResponseError) { note("noticed \(error.kind ?? "")") }

  private func note(_ line: String) { log.withLock { $0.append(line) } }
}
