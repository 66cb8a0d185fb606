// Where what the daemon sends is sorted: replies and progress to the calls that wait for them, log lines to the
// client's owner, refusals to whatever the daemon asks of us, since it has nothing to ask.

import JSON
import JSONRPC
import Synchronization

/// What a waiting call is told.
enum CallEvent: Sendable {
  case progress(ProgressReport)
  /// A part of the result, in the method's own form.
  case partialResult(JSON)
  /// The last event.
  case finished(Result<JSON, PipeClientError>)
}

/// The calls that wait, and the sorting.
final class Inbox: Sendable {
  private struct State {
    var lastID: Int64 = 0
    var calls: [Int64: Call] = [:]
    /// Why no call will ever be answered again.
    var failure: PipeClientError?
  }
  private struct Call {
    let method: String
    let mailbox: Mailbox<CallEvent>
  }

  private let state = Mutex(State())
  private let sender: FrameSender
  private let process: ChildProcess?
  private let onLog: @Sendable (LogLine) -> Void

  init(sender: FrameSender, process: ChildProcess?, onLog: @escaping @Sendable (LogLine) -> Void) {
    self.sender = sender
    self.process = process
    self.onLog = onLog
  }

  /// Prepares for the reply to a call.
  /// - Throws: why there will be none.
  func expect(_ method: String) throws(PipeClientError) -> (id: Int64, mailbox: Mailbox<CallEvent>) {
    try state.withLock { state throws(PipeClientError) in
      if let failure = state.failure { throw failure }
      state.lastID += 1
      let mailbox = Mailbox<CallEvent>()
      state.calls[state.lastID] = Call(method: method, mailbox: mailbox)
      return (state.lastID, mailbox)
    }
  }

  /// Nobody waits for this reply any more.
  func forget(_ id: Int64) { state.withLock { _ = $0.calls.removeValue(forKey: id) } }

  /// The token under which the progress of a call is reported, which is never an id.
  static func token(of id: Int64) -> String { progressPrefix + "\(id)" }

  /// The token under which parts of its result come.
  static func partialResultToken(of id: Int64) -> String { partialPrefix + "\(id)" }

  private static let progressPrefix = "progress ", partialPrefix = "partial "

  /// Sorts one event of the reader, on the reader's thread.
  func receive(_ event: FrameEvent) {
    switch event {
    case .end: fail(.ended(process?.wait(within: 2)))
    case .problem(let problem): fail(.notUnderstood(problem.message))
    case .body(let body):
      switch Incoming(body: body, limits: .file) {
      case .unreadable(let error): fail(.notUnderstood(error.message))
      case .single(let element): receive(element)
      case .batch(let elements): elements.forEach(receive)
      }
    }
  }

  private func receive(_ element: Incoming.Element) {
    switch element {
    case .success(.response(let response)): receive(response)
    case .success(.notification(let notification)): receive(notification)
    case .success(.request(let request)):
      let error = ResponseError(
        .methodNotFound, kind: "methodNotFound",
        "This client has no method \(request.method); send notifications only.")
      try? sender.send(Frame.encode(Response(id: request.id, result: .failure(error)).body()), within: 1)
    case .failure(let invalid): fail(.notUnderstood(invalid.error.message))
    }
  }

  private func receive(_ response: Response) {
    switch response.id {
    case .integer(let id)?:
      // A reply to a call that was given up is no news.
      guard let call = state.withLock({ $0.calls.removeValue(forKey: id) }) else { return }
      call.mailbox.put(.finished(response.result.mapError { .refused($0, method: call.method) }))
    default:
      // Something that we sent could not be read, and nobody knows what it was.
      if case .failure(let error) = response.result { finishAll { .refused(error, method: $0) } }
    }
  }

  private func receive(_ notification: Notification) {
    switch notification.method {
    case "$/progress":
      guard let token = notification.params?["token"]?.string, let value = notification.params?["value"] else { return }
      if token.hasPrefix(Self.progressPrefix), let id = Int64(token.dropFirst(Self.progressPrefix.count)) {
        state.withLock { $0.calls[id]?.mailbox }?.put(.progress(ProgressReport(value)))
      } else if token.hasPrefix(Self.partialPrefix), let id = Int64(token.dropFirst(Self.partialPrefix.count)) {
        state.withLock { $0.calls[id]?.mailbox }?.put(.partialResult(value))
      }
    case "window/logMessage":
      guard let text = notification.params?["message"]?.string else { return }
      onLog(LogLine(type: notification.params?["type"]?.integer ?? 4, text: text))
    default: break
    }
  }

  /// No call will be answered any more, for the first reason given.
  private func fail(_ failure: PipeClientError) {
    state.withLock { state in
      if state.failure == nil { state.failure = failure }
    }
    finishAll { _ in failure }
  }

  private func finishAll(_ failure: (_ method: String) -> PipeClientError) {
    let calls = state.withLock { state in
      defer { state.calls = [:] }
      return state.calls.values
    }
    for call in calls { call.mailbox.put(.finished(.failure(failure(call.method)))) }
  }
}
