// The obligation to answer one request, once. It may be met at any time, from any thread.

package import JSON
import Synchronization

/// Answers one request. The first answer counts and later ones are ignored; if the last reference goes without an
/// answer, the client gets an internal error instead of silence.
package final class Responder: Sendable {
  package let id: RequestID
  private let answered = Atomic<Bool>(false)
  private let deliver: @Sendable (_ body: [UInt8]) -> Void

  /// - Parameter deliver: takes the body of the one response.
  package init(id: RequestID, deliver: @escaping @Sendable (_ body: [UInt8]) -> Void) {
    self.id = id
    self.deliver = deliver
  }

  deinit {
    answer(
      .failure(
        ResponseError(
          .internalError, kind: "noAnswer",
          "The request ended without an answer, which is a fault of the server; please report it.")))
  }

  package var hasAnswered: Bool { answered.load(ordering: .acquiring) }

  /// Answers with a result; one that JSON cannot express becomes an internal error.
  package func reply(_ result: JSON) { answer(.success(result)) }

  package func fail(_ error: ResponseError) { answer(.failure(error)) }

  private func answer(_ result: Result<JSON, ResponseError>) {
    guard !answered.exchange(true, ordering: .acquiringAndReleasing) else { return }
    deliver(Response(id: id, result: result).body())
  }
}
