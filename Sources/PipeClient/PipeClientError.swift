// What can go wrong between a client and its daemon. The words are in PipeClientError+Message.swift.

package import JSON
package import JSONRPC

package enum PipeClientError: Error, Sendable, Equatable {
  case cannotStart(path: String, errno: Int32)
  case noThread
  /// The daemon answered with an error.
  case refused(ResponseError, method: String)
  /// The daemon is gone, or at least its output; nil if how it ended is not known.
  case ended(ProcessEnd?)
  /// The daemon no longer reads.
  case inputClosed
  case timedOut(waitingFor: String, seconds: Double)
  /// The daemon sent something that is no message.
  case notUnderstood(String)
  /// The parameters cannot be written as JSON.
  case notWritable(JSONError)

  /// A stable word: that of the daemon's error, or one of our own.
  package var kind: String {
    switch self {
    case .cannotStart: "cannotStart"
    case .noThread: "noThread"
    case .refused(let error, _): error.kind ?? "refused"
    case .ended: "daemonEnded"
    case .inputClosed: "inputClosed"
    case .timedOut: "timedOut"
    case .notUnderstood: "notUnderstood"
    case .notWritable(let error): error.kind
    }
  }
}
