// Frames in, calls to a handler, answers out. Answers by itself whatever is no message; knows no method, not even
// those of the lifecycle.

import JSON

/// What the connection calls, always on the thread that runs it and in the order of the messages.
/// Messages wait while a handler works, so whatever takes long belongs on another thread.
package protocol ConnectionHandler {
  func handle(request: Request, responder: Responder)
  func handle(notification: Notification) -> ConnectionFlow
  func handle(response: Response)
  /// Something arrived that was answered with an error under a null id; for a log.
  func noticed(_ error: ResponseError)
}

extension ConnectionHandler {
  package func handle(response: Response) {}
  package func noticed(_ error: ResponseError) {}
}

package enum ConnectionFlow: Sendable { case proceed, stop }

/// Why a connection ended.
package enum ConnectionEnd: Sendable, Equatable {
  case inputEnded
  case stopped
}

/// One client, over two descriptors.
package final class Connection {
  private let reader: FrameReader
  private let outbox: Outbox
  private let limits: JSONLimits

  /// - Parameter descriptor: the input; stays open.
  package init(descriptor: Int32, outbox: Outbox, limits: FrameLimits = FrameLimits()) {
    reader = FrameReader(descriptor: descriptor, wayBack: outbox.descriptor, limits: limits)
    self.outbox = outbox
    self.limits = JSONLimits(
      depth: JSONLimits.message.depth, bytes: limits.bodyBytes, nodes: JSONLimits.message.nodes)
  }

  /// Serves until the input ends or the handler stops it. The outbox stays open.
  package func run(handler: some ConnectionHandler) -> ConnectionEnd {
    while true {
      switch reader.next() {
      case .end: return .inputEnded
      case .problem(let problem): refuse(problem.response, handler)
      case .body(let body):
        if serve(Incoming(body: body, limits: limits), handler) == .stop { return .stopped }
      }
    }
  }

  private func serve(_ incoming: Incoming, _ handler: some ConnectionHandler) -> ConnectionFlow {
    switch incoming {
    case .unreadable(let error):
      refuse(error, handler)
      return .proceed
    case .single(let element):
      return serve(element, handler) { [outbox] body in outbox.send(body: body) }
    case .batch(let elements):
      return serve(batch: elements, handler)
    }
  }

  /// Serves the elements of a batch in order; those that are answered share one array.
  private func serve(batch elements: [Incoming.Element], _ handler: some ConnectionHandler) -> ConnectionFlow {
    let answers = elements.count { $0.isAnswered }
    let reply = BatchReply(count: answers) { [outbox] body in outbox.send(body: body) }
    var flow = ConnectionFlow.proceed
    var index = 0
    for element in elements {
      let place = index
      if element.isAnswered { index += 1 }
      if serve(element, handler, deliver: { reply.add($0, at: place) }) == .stop { flow = .stop }
    }
    return flow
  }

  private func serve(
    _ element: Incoming.Element, _ handler: some ConnectionHandler,
    deliver: @escaping @Sendable (_ body: [UInt8]) -> Void
  ) -> ConnectionFlow {
    switch element {
    case .success(.request(let request)):
      handler.handle(request: request, responder: Responder(id: request.id, deliver: deliver))
    case .success(.notification(let notification)):
      return handler.handle(notification: notification)
    case .success(.response(let response)):
      handler.handle(response: response)
    case .failure(let invalid):
      if invalid.id == nil { handler.noticed(invalid.error) }
      deliver(Response(id: invalid.id, result: .failure(invalid.error)).body())
    }
    return .proceed
  }

  /// Answers what has no id.
  private func refuse(_ error: ResponseError, _ handler: some ConnectionHandler) {
    handler.noticed(error)
    outbox.send(body: Response(id: nil, result: .failure(error)).body())
  }
}

extension Incoming.Element {
  /// Whether the element costs a response: requests do, and what is no message at all.
  fileprivate var isAnswered: Bool {
    switch self {
    case .success(.request), .failure: true
    case .success(.notification), .success(.response): false
    }
  }
}
