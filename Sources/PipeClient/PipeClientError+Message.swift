// The words of PipeClientError: what happened, what was expected, what to do next.

import Glibc
import JSON
import JSONRPC

extension PipeClientError {
  package var message: String {
    switch self {
    case .cannotStart(let path, let number):
      "The daemon \(path) could not be started (\(Self.text(number))); check that it exists and may be executed."
    case .noThread:
      "No thread could be started to read from the daemon; raise the limit on threads or free memory."
    case .refused(let error, let method):
      "\(method): \(error.message)"
    case .ended(let status):
      "The daemon ended\(Self.text(status)) before it answered; its last words are on standard error."
        + " Start it again to go on."
    case .inputClosed:
      "The daemon no longer reads its input; start it again to go on."
    case .timedOut(let what, let seconds):
      "Waited \(seconds) s for \(what), in vain; wait longer, or end the daemon and start it again."
    case .notUnderstood(let problem):
      "The daemon sent something that is no message: \(problem) Check that it is an Espalier daemon and that nothing"
        + " else writes to its standard output."
    case .notWritable(let error):
      "The parameters cannot be written as JSON. \(error.message)"
    }
  }

  private static func text(_ status: ProcessEnd?) -> String {
    switch status {
    case .exited(let code)?: " with exit code \(code)"
    case .killed(let signal)?:
      ", killed by signal \(signal)" + (strsignal(signal).map { " (\(String(cString: $0)))" } ?? "")
    case nil: ""
    }
  }

  private static func text(_ number: Int32) -> String { String(cString: strerror(number)) }
}

extension PipeClientError: CustomStringConvertible {
  package var description: String { message }
}
