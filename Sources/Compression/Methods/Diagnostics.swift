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

/// Collects the diagnostics of one request. Thread-safe. They come out without repetitions in an order of their own,
/// which does not depend on the threads that they came from: those of the whole request first, then by tensor.
package final class Diagnostics: Sendable {
  /// More than this are counted, not kept: the first of the order stay.
  package static let limit = 1000

  private struct State {
    /// In order.
    var kept: [(place: Place, diagnostic: Diagnostic, count: Int)] = []
    var total = 0
  }
  private let state = Mutex(State())
  private let ranks: [String: Int]

  /// - Parameter tensors: names in the order in which they are spoken of; others follow by name.
  package init(tensors: some Sequence<String> = []) {
    ranks = Dictionary(tensors.enumerated().map { ($1, $0) }) { first, _ in first }
  }

  package func add(_ diagnostic: Diagnostic) {
    let place = Place(of: diagnostic, ranks: ranks)
    state.withLock { state in
      state.total += 1
      let index = state.kept.partitionIndex { $0.place < place }
      if index < state.kept.count, state.kept[index].diagnostic == diagnostic {
        state.kept[index].count += 1
        return
      }
      guard index < Self.limit else { return }
      state.kept.insert((place, diagnostic, 1), at: index)
      if state.kept.count > Self.limit { state.kept.removeLast() }
    }
  }

  /// All so far, and how often anything else was said.
  package var all: (kept: [Diagnostic], dropped: Int) {
    state.withLock { state in
      (state.kept.map(\.diagnostic), state.total - state.kept.reduce(0) { $0 + $1.count })
    }
  }
}

/// Where a diagnostic stands among others.
private struct Place: Comparable {
  /// -1 for the whole request.
  let rank: Int
  let tensor: String
  let severity: Int
  let kind: String
  let message: String

  init(of diagnostic: Diagnostic, ranks: [String: Int]) {
    rank = diagnostic.tensor.map { ranks[$0] ?? .max } ?? -1
    tensor = diagnostic.tensor ?? ""
    severity = [Diagnostic.Severity.error, .warning, .information].firstIndex(of: diagnostic.severity) ?? 0
    kind = diagnostic.kind
    message = diagnostic.message
  }

  static func < (a: Place, b: Place) -> Bool {
    (a.rank, a.tensor, a.severity, a.kind, a.message) < (b.rank, b.tensor, b.severity, b.kind, b.message)
  }
}

extension Array {
  /// Where the elements begin of which `isBefore` does not hold, in an array that has those of which it holds first.
  fileprivate func partitionIndex(_ isBefore: (Element) -> Bool) -> Int {
    var low = 0, high = count
    while low < high {
      let middle = (low + high) / 2
      if isBefore(self[middle]) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
