// A request on its way to an answer.

import JSON
import JSONRPC
import Tensors

/// What preparing a request comes to: the answer itself, or work for another lane.
enum Plan {
  case answer(JSON)
  case work(Lane, @Sendable (Monitor) throws -> JSON)
}

/// A request that is not answered yet. Immutable but for what its parts guard themselves.
final class Job: Sendable {
  /// `j1`, `j2`, ...
  let id: String
  let method: String
  let model: String?
  let requestID: RequestID
  let access: Access
  let cancellation = Cancellation()
  let progress: ProgressReporter
  let responder: Responder
  let prepare: @Sendable () throws -> Plan
  /// Hears of the outcome: `done`, `cancelled`, `failed: modelNotFound`.
  private let answered: @Sendable (_ outcome: String) -> Void

  init(
    id: String, request: Request, model: String?, access: Access, progress: ProgressReporter, responder: Responder,
    prepare: @escaping @Sendable () throws -> Plan, answered: @escaping @Sendable (_ outcome: String) -> Void = { _ in }
  ) {
    self.id = id
    method = request.method
    self.model = model
    requestID = request.id
    self.access = access
    self.progress = progress
    self.responder = responder
    self.prepare = prepare
    self.answered = answered
  }

  var monitor: Monitor {
    Monitor(cancellation: cancellation) { [progress] fraction, message in progress.report(fraction, message) }
  }

  func answer(_ result: Result<JSON, any Error>) {
    switch result {
    case .success(let json):
      progress.end("done")
      responder.reply(json)
      answered("done")
    case .failure(let error):
      let response = ResponseError(error)
      let isCancelled = response.code == .requestCancelled
      progress.end(isCancelled ? "cancelled" : "failed")
      responder.fail(response)
      answered(isCancelled ? "cancelled" : "failed: \(response.kind ?? "unknown")")
    }
  }
}
