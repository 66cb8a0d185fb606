// What a person should know about an answer although it succeeded. Nothing falls back in silence: it is said here.

import Synchronization

/// Something worth knowing about a computation that went on.
package struct Diagnostic: Sendable, Equatable {
  package enum Severity: String, Sendable {
    case error, warning, information
  }

  package let severity: Severity
  /// A stable camelCase word for programs: `deadInputs`, `dampingRaised`.
  package let kind: String
  /// The tensor that it is about, nil for the whole request.
  package let tensor: String?
  package let message: String

  package init(_ severity: Severity, kind: String, tensor: String? = nil, _ message: String) {
    self.severity = severity
    self.kind = kind
    self.tensor = tensor
    self.message = message
  }
}

/// Collects the diagnostics of one request. Thread-safe; they come out sorted by the order of arrival within a thread
/// and without repetitions.
package final class Diagnostics: Sendable {
  /// More than this are counted, not kept.
  package static let limit = 1000
  private let state = Mutex<(kept: [Diagnostic], dropped: Int)>(([], 0))

  package init() {}

  package func add(_ diagnostic: Diagnostic) {
    state.withLock { state in
      if state.kept.contains(diagnostic) { return }
      if state.kept.count < Self.limit { state.kept.append(diagnostic) } else { state.dropped += 1 }
    }
  }

  /// All so far, and how many more there were.
  package var all: (kept: [Diagnostic], dropped: Int) { state.withLock { $0 } }
}
