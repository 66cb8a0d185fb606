// The graph of a model's revisions and the place that is current in it. Moves never lose a revision; only `forget` does.

package import OrderedCollections
import Synchronization

/// The revisions of one model. Thread-safe; every operation takes microseconds.
///
/// A branch is a named cursor. One branch is current; an edit makes a child of its revision and moves it there,
/// undo moves it to the parent, redo back along the way that was undone, checkout anywhere.
package final class History: Sendable {
  fileprivate struct State {
    var revisions: OrderedDictionary<String, Revision>
    var branches: OrderedDictionary<String, Branch>
    var branch: String
    /// The number of the next revision. Numbers of forgotten ones are not used again.
    var next = 1
  }

  fileprivate struct Branch {
    var head: Revision
    /// Revisions that were undone, the latest last.
    var undone: [Revision] = []
  }

  package static let firstBranch = "main"
  private let state: Mutex<State>

  /// A history that begins with `tensors`, on the branch `main`.
  package init(tensors: OrderedDictionary<String, StoredTensor>, operation: Operation) {
    let root = Revision(id: "r0", parent: nil, operation: operation, tensors: tensors)
    state = Mutex(
      State(revisions: ["r0": root], branches: [Self.firstBranch: Branch(head: root)], branch: Self.firstBranch))
  }

  package var current: Revision { state.withLock { $0.current } }

  /// The revision of an id, or the current one for nil.
  package func revision(_ id: String?) throws(WorkspaceError) -> Revision {
    try state.withLock { (state) throws(WorkspaceError) in
      guard let id else { return state.current }
      return try state.revision(id)
    }
  }

  /// Makes a child of the current revision with these tensors, and moves the current branch to it.
  @discardableResult
  package func commit(_ operation: Operation, tensors: OrderedDictionary<String, StoredTensor>) -> Revision {
    state.withLock { $0.commit(operation, tensors: tensors, under: $0.current) }
  }

  /// Makes a child of the revision `parent`, and moves the current branch to it.
  package func commit(
    _ operation: Operation, tensors: OrderedDictionary<String, StoredTensor>, under parent: String
  ) throws(WorkspaceError) -> Revision {
    try state.withLock { (state) throws(WorkspaceError) in
      state.commit(operation, tensors: tensors, under: try state.revision(parent))
    }
  }

  /// Moves to the parent of the current revision.
  package func undo() throws(WorkspaceError) -> Revision {
    try state.withLock { (state) throws(WorkspaceError) in
      let undone = state.current
      guard let parent = undone.parent.flatMap({ state.revisions[$0] }) else {
        throw .nothingToUndo(revision: undone.id)
      }
      var branch = state.currentBranch
      branch.head = parent
      branch.undone.append(undone)
      state.branches[state.branch] = branch
      return parent
    }
  }

  /// Moves to the revision that the latest undo left.
  package func redo() throws(WorkspaceError) -> Revision {
    try state.withLock { (state) throws(WorkspaceError) in
      var branch = state.currentBranch
      guard let revision = branch.undone.popLast() else { throw .nothingToRedo(revision: branch.head.id) }
      branch.head = revision
      state.branches[state.branch] = branch
      return revision
    }
  }

  /// Makes the branch of that name current, or moves the current branch to the revision of that id.
  package func checkout(_ target: String) throws(WorkspaceError) -> Revision {
    try state.withLock { (state) throws(WorkspaceError) in
      if let branch = state.branches[target] {
        state.branch = target
        return branch.head
      }
      guard Self.looksLikeRevision(target) else {
        throw .branchNotFound(name: target, branches: Array(state.branches.keys))
      }
      let revision = try state.revision(target)
      state.moveBranch(to: revision)
      return revision
    }
  }

  /// Makes a branch at a revision (nil: the current one) and makes it current.
  package func branch(_ name: String, at id: String?) throws(WorkspaceError) -> Revision {
    try state.withLock { (state) throws(WorkspaceError) in
      guard Self.canNameBranch(name) else { throw .branchNameInvalid(name: name) }
      if let existing = state.branches[name] { throw .branchExists(name: name, revision: existing.head.id) }
      let revision = try id.map { (id) throws(WorkspaceError) in try state.revision(id) } ?? state.current
      state.branches[name] = Branch(head: revision)
      state.branch = name
      return revision
    }
  }

  /// Forgets a revision and all that came out of it; their memory is free once nobody works on them.
  /// - Returns: what was forgotten, in order of creation.
  /// - Throws: `revisionNotFound`; `revisionInUse` if a branch is at one of them.
  package func forget(_ id: String) throws(WorkspaceError) -> [String] {
    try state.withLock { (state) throws(WorkspaceError) in
      var forgotten: OrderedSet<String> = [try state.revision(id).id]
      for revision in state.revisions.values {
        if let parent = revision.parent, forgotten.contains(parent) { forgotten.append(revision.id) }
      }
      if let branch = state.branches.first(where: { forgotten.contains($0.value.head.id) }) {
        throw .revisionInUse(id: id, branch: branch.key, head: branch.value.head.id)
      }
      state.revisions.removeAll { forgotten.contains($0.key) }
      for name in state.branches.keys { state.branches[name]?.undone.removeAll { forgotten.contains($0.id) } }
      return Array(forgotten)
    }
  }

  /// A consistent picture of the whole graph.
  package struct Log: Sendable {
    package let revisions: [Revision]
    /// Branch name to head.
    package let branches: OrderedDictionary<String, String>
    package let branch: String
    package let current: String
    package let canUndo: Bool
    package let canRedo: Bool
  }

  package var log: Log {
    state.withLock { state in
      Log(
        revisions: Array(state.revisions.values), branches: state.branches.mapValues(\.head.id), branch: state.branch,
        current: state.current.id, canUndo: state.current.parent != nil, canRedo: !state.currentBranch.undone.isEmpty)
    }
  }

  private static func looksLikeRevision(_ name: String) -> Bool {
    name.first == "r" && name.count > 1 && name.dropFirst().allSatisfy { $0.isASCII && $0.isNumber }
  }

  private static func canNameBranch(_ name: String) -> Bool {
    (1...64).contains(name.utf8.count) && !looksLikeRevision(name)
      && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_./".contains($0)) }
  }
}

extension History.State {
  /// The current branch; it exists always, for branches are never removed.
  fileprivate var currentBranch: History.Branch { branches[branch] ?? branches.values[0] }
  fileprivate var current: Revision { currentBranch.head }

  fileprivate func revision(_ id: String) throws(WorkspaceError) -> Revision {
    guard let revision = revisions[id] else {
      throw .revisionNotFound(id: id, newest: revisions.keys.last ?? "r0")
    }
    return revision
  }

  fileprivate mutating func commit(
    _ operation: Operation, tensors: OrderedDictionary<String, StoredTensor>, under parent: Revision
  ) -> Revision {
    let revision = Revision(id: "r\(next)", parent: parent, operation: operation, tensors: tensors)
    next += 1
    revisions[revision.id] = revision
    moveBranch(to: revision)
    return revision
  }

  fileprivate mutating func moveBranch(to revision: Revision) {
    branches[branch] = History.Branch(head: revision)
  }
}
