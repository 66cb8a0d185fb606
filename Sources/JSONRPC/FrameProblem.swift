// What can be wrong with a frame, its words, and how it is answered.

import JSON

package enum FrameProblem: Error, Sendable, Equatable {
  case missingContentLength
  /// Negative, fractional, no number at all.
  case invalidContentLength(String)
  case conflictingContentLength(String, String)
  /// `length` as it was written, since it may not fit in any integer.
  case bodyTooLarge(length: String, limit: Int)
  /// A line that is no `Name: value`, shortened.
  case invalidHeader(String)
  case headerTooLarge(limit: Int)
  case tooManyHeaderFields(limit: Int)
  case unsupportedCharset(String)
  /// The input ended in the middle of a header section (nil) or before these bytes of a body.
  case unexpectedEnd(missing: Int?)
  /// read(2) failed with this errno.
  case readFailed(Int32)

  /// A stable word for clients to branch on.
  package var kind: String {
    switch self {
    case .missingContentLength: "missingContentLength"
    case .invalidContentLength: "invalidContentLength"
    case .conflictingContentLength: "conflictingContentLength"
    case .bodyTooLarge: "frameTooLarge"
    case .invalidHeader: "invalidHeader"
    case .headerTooLarge: "headerTooLarge"
    case .tooManyHeaderFields: "tooManyHeaderFields"
    case .unsupportedCharset: "unsupportedCharset"
    case .unexpectedEnd: "unexpectedEnd"
    case .readFailed: "readFailed"
    }
  }

  package var message: String {
    switch self {
    case .missingContentLength:
      "The header section has no Content-Length; expected \"Content-Length: N\" with the bytes of the body."
        + " Skipped to the next Content-Length."
    case .invalidContentLength(let given):
      "Content-Length is \"\(given)\"; expected the number of bytes of the body in decimal digits."
        + " Skipped to the next Content-Length."
    case .conflictingContentLength(let first, let second):
      "Content-Length is given as \(first) and as \(second); give it once. Skipped to the next Content-Length."
    case .bodyTooLarge(let length, let limit):
      "The body has \(length) bytes; at most \(limit) are read. Skipped it; send less, or name a file instead."
    case .invalidHeader(let line):
      "\"\(line)\" is no header field; expected \"Name: value\" without space before the colon."
        + " Skipped to the next Content-Length."
    case .headerTooLarge(let limit):
      "The header section is longer than \(limit) bytes. Skipped the message; send only Content-Length"
        + " and Content-Type."
    case .tooManyHeaderFields(let limit):
      "The header section has more than \(limit) fields. Skipped the message; send only Content-Length"
        + " and Content-Type."
    case .unsupportedCharset(let given):
      "The charset is \"\(given)\"; expected utf-8. Skipped the message; send it again in UTF-8."
    case .unexpectedEnd(let missing?):
      "The input ended \(missing) bytes before the end of a body; send as many bytes as Content-Length says."
    case .unexpectedEnd(nil):
      "The input ended within a header section; end it with an empty line and send the body."
    case .readFailed(let errno):
      "The input could not be read (errno \(errno)); the connection is closed."
    }
  }

  /// The error to answer with, under a null id. What exceeds a limit is a request that is not allowed;
  /// everything else is bytes that could not be read.
  package var response: ResponseError {
    switch self {
    case .bodyTooLarge(let length, let limit):
      ResponseError(
        .invalidRequest, kind: kind, message,
        facts: ["length": Int64(length).map(JSON.integer) ?? .string(length), "limit": JSON(limit)])
    case .headerTooLarge(let limit), .tooManyHeaderFields(let limit):
      ResponseError(.invalidRequest, kind: kind, message, facts: ["limit": JSON(limit)])
    case .unsupportedCharset(let given):
      ResponseError(.parseError, kind: kind, message, facts: ["charset": .string(given), "supported": ["utf-8"]])
    default:
      ResponseError(.parseError, kind: kind, message)
    }
  }
}
