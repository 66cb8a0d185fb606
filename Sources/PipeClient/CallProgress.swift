// What the daemon says of its own accord: how far a request is ($/progress), and lines for a log (window/logMessage).

import JSON

/// How far a request is, at most as often as the daemon reports it.
package struct CallProgress: Sendable, Equatable {
  /// What is being done, the same in all reports of a request.
  package var title: String
  /// 0...100, if known.
  package var percentage: Double?
  package var message: String?
}

/// One report on the wire (LSP 3.17, "Work Done Progress").
struct ProgressReport: Sendable, Equatable {
  let title: String?
  let percentage: Double?
  let message: String?
  let isEnd: Bool

  init(_ value: JSON?) {
    title = value?["title"]?.string
    percentage = value?["percentage"]?.number
    message = value?["message"]?.string
    isEnd = value?["kind"] == "end"
  }
}

/// A line of the daemon's log.
package struct LogLine: Sendable, Equatable {
  /// As in LSP 3.17, "MessageType": 1 error, 2 warning, 3 info, 4 log, 5 debug.
  package var type: Int
  package var text: String
}
