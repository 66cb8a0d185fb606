// Moves on the graph of revisions: tables of single moves, errors, and long random walks against a naive model.

import OrderedCollections
import Tensors
import TestSupport
import Testing
import Workspace

@Suite struct HistoryTests {
  static func tensors() -> OrderedDictionary<String, StoredTensor> {
    guard let view = TensorView(guarding: [1, 2, 3, 4], shape: [2, 2]) else { return [:] }
    return ["a": StoredTensor(weights: WeightsBlob(view)), "b": StoredTensor(weights: WeightsBlob(view))]
  }

  static func history() -> History {
    History(tensors: tensors(), operation: Operation(method: "model/load", summary: "loaded"))
  }

  /// One move, as a test writes it down.
  enum Move: CustomStringConvertible, Sendable {
    case commit, undo, redo
    case checkout(String)
    case branch(String, at: String?)

    var description: String {
      switch self {
      case .commit: "commit"
      case .undo: "undo"
      case .redo: "redo"
      case .checkout(let target): "checkout \(target)"
      case .branch(let name, let at): "branch \(name) at \(at ?? "current")"
      }
    }
  }

  /// The id of the current revision after the move, or the kind of its error.
  static func make(_ move: Move, in history: History) -> String {
    do throws(WorkspaceError) {
      switch move {
      case .commit:
        return history.commit(Operation(method: "mask/edit", summary: ""), tensors: history.current.tensors).id
      case .undo: return try history.undo().id
      case .redo: return try history.redo().id
      case .checkout(let target): return try history.checkout(target).id
      case .branch(let name, let at): return try history.branch(name, at: at).id
      }
    } catch {
      return error.kind
    }
  }

  @Test(arguments: [
    ("nothing to undo or redo at first", [(.undo, "nothingToUndo"), (.redo, "nothingToRedo")]),
    ("there and back", [(.commit, "r1"), (.undo, "r0"), (.undo, "nothingToUndo"), (.redo, "r1"), (.redo, "nothingToRedo")]),
    (
      "the latest undone is redone first",
      [(.commit, "r1"), (.commit, "r2"), (.undo, "r1"), (.undo, "r0"), (.redo, "r1"), (.redo, "r2")]
    ),
    ("an edit ends what could be redone", [(.commit, "r1"), (.undo, "r0"), (.commit, "r2"), (.redo, "nothingToRedo")]),
    ("what was undone stays reachable", [(.commit, "r1"), (.undo, "r0"), (.commit, "r2"), (.checkout("r1"), "r1")]),
    (
      "undo after checkout goes to the parent",
      [(.commit, "r1"), (.commit, "r2"), (.checkout("r1"), "r1"), (.redo, "nothingToRedo"), (.undo, "r0"), (.redo, "r1")]
    ),
    ("a branch starts at the current revision", [(.commit, "r1"), (.branch("x", at: nil), "r1"), (.undo, "r0")]),
    (
      "branches have heads of their own",
      [
        (.commit, "r1"), (.branch("x", at: "r0"), "r0"), (.commit, "r2"), (.checkout("main"), "r1"),
        (.checkout("x"), "r2"), (.undo, "r0"),
      ]
    ),
    (
      "each branch keeps what it can redo",
      [
        (.commit, "r1"), (.undo, "r0"), (.branch("x", at: nil), "r0"), (.redo, "nothingToRedo"), (.commit, "r2"),
        (.checkout("main"), "r0"), (.redo, "r1"),
      ]
    ),
    ("unknown revision", [(.checkout("r7"), "revisionNotFound"), (.branch("x", at: "r7"), "revisionNotFound")]),
    ("unknown branch", [(.checkout("nowhere"), "branchNotFound"), (.checkout(""), "branchNotFound")]),
    ("a branch twice", [(.branch("x", at: nil), "r0"), (.branch("x", at: nil), "branchExists")]),
    ("the first branch is there", [(.branch("main", at: nil), "branchExists"), (.checkout("main"), "r0")]),
  ] as [(String, [(Move, String)])])
  func moves(name: String, moves: [(move: Move, expected: String)]) {
    let history = Self.history()
    for (index, step) in moves.enumerated() {
      #expect(Self.make(step.move, in: history) == step.expected, "step \(index), \(step.move): \(name)")
    }
  }

  @Test(arguments: [
    ("try-1", true), ("a/b.c_D", true), ("r", true), ("rx1", true), (String(repeating: "x", count: 64), true),
    ("", false), ("r1", false), ("r007", false), ("a b", false), ("é", false), ("a\n", false), ("..\u{0}", false),
    (String(repeating: "x", count: 65), false), ("e\u{301}", false), ("a:b", false),
  ])
  func branchNames(name: String, isAllowed: Bool) {
    let history = Self.history()
    let result = Self.make(.branch(name, at: nil), in: history)
    #expect(result == (isAllowed ? "r0" : "branchNameInvalid"))
    #expect(history.log.branch == (isAllowed ? name : "main"))
  }

  @Test func failedMovesChangeNothing() throws {
    let history = Self.history()
    history.commit(Operation(method: "mask/edit", summary: ""), tensors: history.current.tensors)
    _ = try history.undo()
    let before = history.log
    for move in [Move.undo, .checkout("r9"), .checkout("x"), .branch("r1", at: nil), .branch("x", at: "r9"), .branch("main", at: nil)] {
      _ = Self.make(move, in: history)
      let after = history.log
      #expect(after.current == before.current && after.branch == before.branch && after.branches == before.branches)
      #expect(after.canUndo == before.canUndo && after.canRedo == before.canRedo, "\(move)")
    }
    #expect(Self.make(.redo, in: history) == "r1")
  }

  @Test func logTellsTheWholeGraph() throws {
    let history = Self.history()
    history.commit(Operation(method: "mask/edit", summary: "one", details: ["a": "1"]), tensors: history.current.tensors)
    _ = try history.branch("side", at: "r0")
    history.commit(Operation(method: "mask/load", summary: "two"), tensors: history.current.tensors)
    _ = try history.undo()
    let log = history.log
    #expect(log.revisions.map(\.id) == ["r0", "r1", "r2"] && log.revisions.map(\.parent) == [nil, "r0", "r0"])
    #expect(log.revisions[1].operation == Operation(method: "mask/edit", summary: "one", details: ["a": "1"]))
    #expect(log.branches == ["main": "r1", "side": "r0"] && log.branch == "side" && log.current == "r0")
    #expect(!log.canUndo && log.canRedo)
    #expect(try history.revision(nil).id == "r0" && history.revision("r2").id == "r2")
  }

  /// What a walk must do, in the plainest form: a parent for each revision, a place and a stack for each branch.
  struct Naive {
    var parents: [String: String?] = ["r0": nil]
    var branches: [String: (head: String, undone: [String])] = ["main": ("r0", [])]
    var branch = "main"
    var head: String { branches[branch]?.head ?? "" }

    mutating func make(_ move: Move) -> String {
      switch move {
      case .commit:
        let id = "r\(parents.count)"
        parents[id] = head
        branches[branch] = (id, [])
      case .undo:
        guard let parent = parents[head] ?? nil else { return "nothingToUndo" }
        branches[branch] = (parent, (branches[branch]?.undone ?? []) + [head])
      case .redo:
        guard let last = branches[branch]?.undone.last else { return "nothingToRedo" }
        branches[branch] = (last, Array((branches[branch]?.undone ?? []).dropLast()))
      case .checkout(let target):
        if branches[target] != nil {
          branch = target
        } else if parents[target] != nil {
          branches[branch] = (target, [])
        } else {
          return target.hasPrefix("r") ? "revisionNotFound" : "branchNotFound"
        }
      case .branch(let name, let at):
        if branches[name] != nil { return "branchExists" }
        let start = at ?? head
        guard parents[start] != nil else { return "revisionNotFound" }
        branches[name] = (start, [])
        branch = name
      }
      return head
    }
  }

  @Test(arguments: 1...12 as ClosedRange<UInt64>)
  func randomWalks(seed: UInt64) {
    var random = Seeded(seed)
    let history = Self.history()
    var naive = Naive()
    for step in 0..<400 {
      let count = naive.parents.count
      let move: Move =
        switch random.int(in: 0...9) {
        case 0...2: .commit
        case 3...5: .undo
        case 6...7: .redo
        case 8: .checkout(["main", "b1", "b2", "r\(random.int(in: 0...count))"][random.int(in: 0...3)])
        default: .branch("b\(random.int(in: 1...4))", at: random.int(in: 0...1) == 0 ? nil : "r\(random.int(in: 0...count))")
        }
      let expected = naive.make(move)
      #expect(Self.make(move, in: history) == expected, "step \(step), \(move), \(random)")
      #expect(history.current.id == naive.head, "step \(step), \(move), \(random)")
    }
    let log = history.log
    #expect(log.revisions.count == naive.parents.count, "nothing is lost, \(random)")
    for revision in log.revisions {
      #expect(naive.parents[revision.id] == revision.parent)
      #expect((try? history.checkout(revision.id))?.id == revision.id, "every revision stays reachable, \(random)")
    }
    for (name, head) in log.branches where name != log.branch { #expect(naive.branches[name]?.head == head) }
  }

  @Test(arguments: [
    (WorkspaceError.revisionNotFound(id: "r9", newest: "r3"), ["r9", "r3", "revision/log"]),
    (.branchNotFound(name: "x", branches: ["main", "y"]), ["\"x\"", "main, y"]),
    (.branchExists(name: "x", revision: "r2"), ["\"x\"", "r2"]),
    (.branchNameInvalid(name: "r1"), ["\"r1\"", "64"]),
    (.nothingToUndo(revision: "r0"), ["r0", "undo"]),
    (.nothingToRedo(revision: "r4"), ["r4", "redo"]),
    (.datasetTooSmall(tokens: 5, sequenceLength: 8), ["5", "8", "sequenceLength"]),
    (.sequenceLengthInvalid(given: 1), ["1", "2"]),
    (.sequencesNotAvailable(asked: 9, available: 4, sequenceLength: 7), ["9", "4", "7"]),
    (.datasetTooLarge(sequences: 9, sequenceLength: 8, maximumTokens: 70), ["9", "8", "70", "ewer"]),
    (.tokenOutOfRange(token: 80, position: 3, vocabularySize: 67), ["80", "3", "66"]),
  ] as [(WorkspaceError, [String])])
  func messages(error: WorkspaceError, words: [String]) {
    for word in words { #expect(error.message.contains(word), "\(error.message)") }
    #expect(!error.kind.isEmpty)
  }
}

@Suite struct RevisionTests {
  @Test func countsWhatMasksPrune() throws {
    let history = HistoryTests.history()
    let mask = MaskBlob(try #require(MaskBits(rows: 2, columns: 2, bytes: [0b01, 0b00])))
    let revision = history.commit(
      Operation(method: "mask/apply", summary: ""), tensors: history.current.replacing(masks: ["a": mask]))
    #expect(revision.parameterCount == 8 && revision.prunedCount == 3)
    #expect(revision.tensors["a"]?.sparsity == 0.75 && revision.tensors["b"]?.sparsity == 0)
    #expect(history.log.revisions[0].prunedCount == 0, "the parent is as it was")
    let restored = revision.replacing(masks: ["a": nil])
    #expect(restored["a"]?.mask == nil && restored["a"]?.prunedCount == 0)
    #expect(revision.replacing(masks: ["nowhere": mask]).count == 2)
  }

  /// Blobs that an edit leaves alone are the parent's; those that it makes are new.
  @Test func blobsAreSharedAndTold() throws {
    let history = HistoryTests.history()
    let root = history.current
    let mask = MaskBits(keepingAll: 2, columns: 2)
    let first = history.commit(
      Operation(method: "m", summary: ""), tensors: root.replacing(masks: ["a": MaskBlob(mask)]))
    let second = history.commit(
      Operation(method: "m", summary: ""), tensors: root.replacing(masks: ["a": MaskBlob(mask)]))
    func key(_ revision: Revision, _ name: String) throws -> TensorKey {
      TensorKey(try #require(revision.tensors[name]))
    }
    #expect(first.tensors["a"]?.weights === root.tensors["a"]?.weights)
    #expect(try key(first, "b") == key(root, "b"))
    #expect(try key(first, "a") != key(root, "a"))
    #expect(try key(first, "a") != key(second, "a"), "equal bits in two blobs are two identities")
    #expect(try history.undo().id == "r1")
    #expect(try key(history.current, "a") == key(first, "a"))
  }

  @Test func givesItsWeightsWithTheirMasks() throws {
    let history = HistoryTests.history()
    let mask = MaskBlob(try #require(MaskBits(rows: 2, columns: 2, bytes: [0b10, 0b01])))
    let revision = history.commit(
      Operation(method: "m", summary: ""), tensors: history.current.replacing(masks: ["a": mask]))
    let row = FloatBuffer(count: 2)
    revision.tensor("a").readRow(0, into: row.pointer)
    #expect(Array(row.readOnly) == [0, 2])
    revision.tensor("b").readRow(0, into: row.pointer)
    #expect(Array(row.readOnly) == [1, 2])
  }

  /// What a revision was calibrated on is also what those were that it came out of, and no others.
  @Test func calibrationIsInherited() throws {
    let history = HistoryTests.history()
    func commit(_ calibration: Set<String>) -> Revision {
      history.commit(
        Operation(method: "prune/run", summary: "", calibration: calibration), tensors: history.current.tensors)
    }
    #expect(history.current.calibration == [])
    #expect(commit(["x"]).calibration == ["x"])
    #expect(commit([]).calibration == ["x"])
    #expect(commit(["y", "z"]).calibration == ["x", "y", "z"])
    _ = try history.checkout("r0")
    #expect(history.current.calibration == [] && commit(["z"]).calibration == ["z"])
  }
}
