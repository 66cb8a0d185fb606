// The lifecycle of a connection (LSP 3.17): what may be said when, and where each message goes.

import Glibc
import JSON
import JSONRPC
import WireTypes

/// The server's side of the conversation with one client. Used by the reading thread alone.
final class Session: ConnectionHandler {
  private enum Phase { case fresh, running, shutDown }

  private var phase = Phase.fresh
  private let context: ServerContext
  private let ending: Ending

  init(context: ServerContext, ending: Ending) {
    self.context = context
    self.ending = ending
  }

  func handle(request: Request, responder: Responder) {
    switch (phase, request.method) {
    case (.fresh, Initialize.name): initialize(request, responder)
    case (.fresh, _):
      responder.fail(
        ResponseError(
          .serverNotInitialized, kind: "notInitialized",
          "\(request.method.shortened()) came before initialize. Send initialize first and wait for its answer."))
    case (.running, Initialize.name):
      responder.fail(
        ResponseError(.invalidRequest, kind: "alreadyInitialized", "initialize was sent before; it may be sent once."))
    case (.running, Shutdown.name): shutdown(request, responder)
    case (.running, _): start(request, responder)
    case (.shutDown, _):
      responder.fail(
        ResponseError(
          .invalidRequest, kind: "shutDown", "\(request.method.shortened()) came after shutdown; only exit may follow."))
    }
  }

  func handle(notification: Notification) -> ConnectionFlow {
    switch notification.method {
    case "exit": return .stop
    case _ where phase == .fresh: break  // dropped, as the specification says
    case "$/cancelRequest":
      if let id = RequestID(notification.params?["id"]) { context.scheduler.cancel(request: id) }
    case "$/setTrace":
      if let level = notification.params?["value"]?.string.flatMap(TraceLevel.init) { context.setTrace(level) }
    case "initialized": break
    case let method where method.hasPrefix("$/"): break  // optional by the specification
    case let method: context.log(.log, "The notification \(method.shortened()) is not known and was ignored.")
    }
    return .proceed
  }

  func noticed(_ error: ResponseError) {
    if phase == .running { context.log(.warning, error.message) }
  }

  // MARK: Lifecycle

  private func initialize(_ request: Request, _ responder: Responder) {
    guard let params = read(request, responder, { (fields) throws(JSONFieldError) in try Initialize.Params(&fields) })
    else { return }
    phase = .running
    context.setTrace(params.trace)
    if let parent = params.processId {
      watchProcess(Int32(parent)) { [ending] in ending.clientIsGone() }
    }
    responder.reply(Initialize.result(version: espalierVersion, methods: methodNames, limits: context.wireLimits))
  }

  private func shutdown(_ request: Request, _ responder: Responder) {
    let known: Void? = read(request, responder) { (fields) throws(JSONFieldError) in
      try fields.finish(alsoAllowed: ["workDoneToken"])
    }
    guard known != nil else { return }
    phase = .shutDown
    ending.noteShutdown()
    context.scheduler.cancelAll()
    responder.reply(.null)
  }

  // MARK: Requests

  private func start(_ request: Request, _ responder: Responder) {
    guard let route = routes[request.method] else {
      let method = request.method.shortened()
      let hint = nearest(to: method, among: methodNames).map { " Did you mean \($0)?" } ?? ""
      responder.fail(
        ResponseError(
          .methodNotFound, kind: "methodNotFound", "There is no method \(method).\(hint)",
          facts: ["method": JSON(method)]))
      return
    }
    let call = read(request, responder) { (fields) throws(JSONFieldError) in try route.call(fields, context) }
    guard let call else { return }
    let progress = ProgressReporter(
      title: request.method, token: token(of: request), outbox: context.outbox)
    do throws(ServerError) {
      try context.scheduler.add { number in
        Job(
          id: "j\(number)", request: request, model: call.model, access: call.access, progress: progress,
          responder: responder, prepare: call.prepare,
          answered: { [context] outcome in
            let milliseconds = Int((monotonicSeconds() - progress.started) * 1000)
            context.trace("\(request.method) \(outcome)", verbose: "job j\(number), \(milliseconds) ms")
          })
      }
    } catch {
      responder.fail(ResponseError(error))
    }
  }

  /// Reads the parameters of a request, or answers it with what is wrong with them.
  private func read<Value>(
    _ request: Request, _ responder: Responder, _ body: (inout JSONFields) throws(JSONFieldError) -> Value
  ) -> Value? {
    do throws(JSONFieldError) {
      var fields = try JSONFields(request.params ?? [:], at: "params")
      return try body(&fields)
    } catch {
      responder.fail(ResponseError(error))
      return nil
    }
  }

  /// The token under which the client wants to hear of progress: an integer or a string.
  private func token(of request: Request) -> JSON? {
    guard let token = request.params?["workDoneToken"], RequestID(token) != nil else { return nil }
    return token
  }
}
