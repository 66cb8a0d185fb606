// A request on its way.

package import JSON

/// The result to come of one request; one thread waits for it.
package struct PendingCall: Sendable {
  let id: Int64
  let method: String
  let mailbox: Mailbox<CallEvent>
  let client: Client

  /// Waits for the result; once.
  /// - Parameters:
  ///   - seconds: how long; then the request is cancelled and `timedOut` is thrown.
  ///   - onProgress: called on this thread with each report.
  ///   - onPartialResult: called on this thread with each part of the result that comes before it.
  /// - Throws: as `Client.call`.
  package func result(
    within seconds: Double = .infinity, onProgress: ((CallProgress) -> Void)? = nil,
    onPartialResult: ((JSON) -> Void)? = nil
  ) throws(PipeClientError) -> JSON {
    let deadline = Deadline(in: seconds)
    var progress = CallProgress(title: method)
    while let event = mailbox.take(by: deadline) {
      switch event {
      case .finished(let result): return try result.get()
      case .partialResult(let part): onPartialResult?(part)
      case .progress(let report):
        guard !report.isEnd, let onProgress else { continue }
        progress = CallProgress(
          title: report.title ?? progress.title, percentage: report.percentage ?? progress.percentage,
          message: report.message)
        onProgress(progress)
      }
    }
    client.abandon(id)
    throw .timedOut(waitingFor: "the answer to \(method)", seconds: seconds)
  }

  /// Asks the daemon to give up the request; `result` then throws its error -32800, or returns if that came too late.
  package func cancel() { client.cancel(id) }
}
