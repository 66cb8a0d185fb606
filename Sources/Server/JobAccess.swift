// Which requests must wait for which: the whole policy, as a small pure function.
//
// A request that reads a resource works on what it finds when it is prepared, a fixed revision, and never again looks
// at what is current. So it waits for earlier writers, and later writers wait for it only until it is prepared.
// Views (lists, descriptions, status) wait for nobody: they show what is there now, and say which revision that is.

/// Something that requests read or change.
enum Resource: Hashable, Sendable {
  case model(String)
  case dataset(String)
  case scores(String)
  case run(String)
  case plugins
}

/// What a request reads and changes.
struct Access: Sendable, Equatable {
  var reads: Set<Resource> = []
  var writes: Set<Resource> = []

  static let none = Access()
  static func reading(_ resources: Resource?...) -> Access { Access(reads: Set(resources.compactMap { $0 })) }
  static func writing(_ resource: Resource, reading others: Resource?...) -> Access {
    Access(reads: Set(others.compactMap { $0 }), writes: [resource])
  }

  /// The same, and scores that are added to a plugin's own.
  func reading(terms: [(name: String, scores: String)]) -> Access {
    Access(reads: reads.union(terms.map { .scores($0.scores) }), writes: writes)
  }

  /// Whether a request with this access must wait for an earlier, unfinished one.
  /// - Parameter prepared: whether the earlier one has taken hold of all that it reads.
  func mustWait(for earlier: Access, prepared: Bool) -> Bool {
    if !reads.isDisjoint(with: earlier.writes) || !writes.isDisjoint(with: earlier.writes) { return true }
    return !prepared && !writes.isDisjoint(with: earlier.reads)
  }
}

/// Where the work of a request is done. Each lane is one thread.
enum Lane: Int, Sendable, CaseIterable {
  /// Decisions and small answers: milliseconds.
  case control
  /// Files: loading, saving, tokenising.
  case files
  /// Edits that a person waits for; they share the compute threads with whatever runs on `compute`.
  case interactive
  /// Passes through a model: seconds to hours.
  case compute

  var name: String { "\(self)" }
}
