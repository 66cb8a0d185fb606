// The folder of a run on disk: training.safetensors, the caller's own state.json, and DONE, written last, with the digests of
// both. The folder appears whole under its name or not at all.

package import Checkpoints
package import JSON
import Tensors
import Workspace

/// The files of a run's folder.
package enum RunFolder {
  static let training = "training.safetensors"
  static let state = "state.json"
  static let done = "DONE"

  /// The caller's state of a run that was saved whole.
  /// - Throws: `CheckpointError`; `TrainingError.stateMismatch` for a folder that holds none.
  package static func state(at path: String) throws -> JSONObject {
    guard isWhole(path) else {
      throw TrainingError.stateMismatch(
        path: path, reason: "it has no file \(done), so it is no run that was saved whole")
    }
    return try JSON.readObject(path: path + "/" + state)
  }

  /// Where the checkpoint of a step is in a folder of checkpoints.
  package static func path(_ folder: String, step: Int) -> String {
    let digits = String(step)
    return folder + "/step-" + String(repeating: "0", count: max(0, 8 - digits.count)) + digits
  }

  /// The run at `path`, or the newest of those that were saved whole in a folder of checkpoints.
  /// - Throws: `CheckpointError` if there is no such folder.
  package static func newest(at path: String) throws -> String {
    if isWhole(path) { return path }
    return try checkpoints(in: path).last { isWhole($0) } ?? path
  }

  /// Makes a folder if there is none.
  /// - Throws: `CheckpointError`.
  package static func make(_ path: String) throws(CheckpointError) { try FileSystem.makeFolders(path) }

  /// Whether a run has left whole checkpoints in a folder.
  package static func holdsCheckpoints(_ path: String) -> Bool {
    ((try? checkpoints(in: path)) ?? []).contains(where: isWhole)
  }

  /// Removes all but the newest checkpoints of a folder up to that of `step`, which is the newest: those of later steps
  /// are what a run had come to before it went on from an earlier one.
  /// - Throws: `CheckpointError` if the folder cannot be read.
  package static func keepNewest(_ count: Int, in folder: String, upTo step: Int) throws {
    let all = try checkpoints(in: folder).filter(isWhole), newest = path(folder, step: step)
    let behind = all.drop { $0 != newest }.dropFirst()
    for path in all.dropLast(behind.count).dropLast(count) + behind { AtomicFolder.remove(path) }
  }

  /// Removes what daemons that were killed left of checkpoints that they were writing in a folder.
  /// - Throws: `CheckpointError` if the folder cannot be read.
  package static func removePartial(in folder: String) throws {
    for name in try FileSystem.names(in: folder) where name.hasPrefix(".step-") && name.hasSuffix(".partial") {
      AtomicFolder.remove(folder + "/" + name)
    }
  }

  /// Whether a folder holds nothing but what a run leaves there: only then a run may replace it.
  static func isReplaceable(_ path: String) -> Bool {
    ((try? FileSystem.names(in: path)) ?? []).allSatisfy { [training, state, done].contains($0) }
  }

  // MARK: Whether it is what was written

  /// The digest of each file of a folder but DONE.
  /// - Throws: `CheckpointError` for a file that cannot be read, `Cancelled`.
  static func digests(in folder: String, monitor: Monitor) throws -> JSONObject {
    var digests: JSONObject = [:]
    for name in [training, state] {
      let file = try MappedFile(path: folder + "/" + name)
      digests[name] = .string(try digestOfPieces(file.bytes, monitor: monitor))
    }
    return digests
  }

  /// Compares the files with the digests that were written last.
  /// - Throws: `TrainingError.stateMismatch` if a file is not as it was written; it names the checkpoint before, if there
  ///   is one. `CheckpointError`, `Cancelled`.
  static func verify(_ path: String, monitor: Monitor) throws {
    let written = try? JSON.readObject(path: path + "/" + done), found = try digests(in: path, monitor: monitor)
    for (name, digest) in found where written?[name] != digest {
      throw TrainingError.stateMismatch(
        path: path, reason: "its \(name) is not as it was written" + (before(path).map { "; try \($0)" } ?? ""))
    }
  }

  /// The whole checkpoint before one, in the same folder.
  private static func before(_ path: String) -> String? {
    guard let slash = path.lastIndex(of: "/"), let all = try? checkpoints(in: String(path[..<slash])) else { return nil }
    return all.filter(isWhole).prefix { $0 != path }.last
  }

  private static func isWhole(_ path: String) -> Bool { (try? MappedFile(path: path + "/" + done)) != nil }

  /// In the order of their steps.
  private static func checkpoints(in folder: String) throws -> [String] {
    try FileSystem.names(in: folder).filter { name in
      name.hasPrefix("step-") && name.count >= 13 && name.dropFirst(5).allSatisfy { $0.isASCII && $0.isNumber }
    }.sorted { ($0.count, $0) < ($1.count, $1) }.map { folder + "/" + $0 }
  }
}
