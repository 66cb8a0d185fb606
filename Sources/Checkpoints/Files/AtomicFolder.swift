// Writing a folder of files so that either the old or the whole new one is there, whatever happens in between.
// Flat: a folder here holds files, never folders.

import Glibc

/// A folder being written under a temporary name.
package final class AtomicFolder {
  /// Where the folder will be when it is complete.
  package let path: String
  /// Where it is until then.
  package let temporary: String
  /// The files written so far, in that order.
  package private(set) var files: [(name: String, byteCount: Int)] = []

  private init(path: String, temporary: String) {
    self.path = path
    self.temporary = temporary
  }

  /// Writes one file of the folder.
  /// - Parameter name: a plain name, not used before.
  package func write(_ name: String, _ body: (OutputFile) throws -> Void) throws {
    guard FileSystem.isPlainName(name) else {
      throw CheckpointError.file(path: "\(path)/\(name)", .invalidPath)
    }
    let file = try OutputFile(path: "\(path)/\(name)", temporaryPath: "\(temporary)/\(name)")
    try body(file)
    try file.finish()
    files.append((name, file.byteCount))
  }

  /// Writes a folder at `path`.
  ///
  /// If `body` or anything else throws, what was at `path` is intact and the temporary folder is gone.
  /// - Parameter replacing: whether a folder at `path` that holds something may be replaced. Even then it must hold
  ///   files only, and all of them are deleted. An empty folder may always be replaced.
  /// - Throws: what `body` throws; `FileFault.taken` if something is at `path`; other faults of the file system.
  package static func write(
    to path: String, replacing: Bool = false, _ body: (AtomicFolder) throws -> Void
  ) throws {
    let (parent, name) = try FileSystem.split(path)
    let place = "\(parent)/\(name)"
    let mustExchange = try mustExchange(place, replacing: replacing)
    let temporary = "\(parent)/\(AtomicFile.temporaryName(for: name))"
    guard mkdir(temporary, 0o777) == 0 else { throw CheckpointError.system("mkdir", path) }
    do {
      try body(AtomicFolder(path: place, temporary: temporary))
      try FileSystem.synchronise(folder: temporary)
      if mustExchange {
        guard try exchange(temporary, place) == 0 else { throw CheckpointError.system("renameat2", path) }
        remove(temporary)  // the old folder, which has this name now
      } else {
        guard rename(temporary, place) == 0 else { throw CheckpointError.system("rename", path) }
      }
    } catch {
      remove(temporary)
      throw error
    }
    try FileSystem.synchronise(folder: parent)
  }

  /// Lets two names change places in one step: renameat2(2) with RENAME_EXCHANGE, which Glibc's headers show to GNU
  /// sources only.
  private static func exchange(_ a: String, _ b: String) throws(CheckpointError) -> Int32 {
    typealias RenameAt2 = @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
    guard let symbol = dlsym(nil, "renameat2") else { throw .file(path: b, .system(call: "renameat2", code: ENOSYS)) }
    let exchangeFlag: UInt32 = 1 << 1
    return unsafeBitCast(symbol, to: RenameAt2.self)(AT_FDCWD, a, AT_FDCWD, b, exchangeFlag)
  }

  /// Whether `path` holds a folder with files that must make way.
  private static func mustExchange(_ path: String, replacing: Bool) throws(CheckpointError) -> Bool {
    switch try FileSystem.kind(of: path) {
    case nil: return false
    case .file: throw .file(path: path, .taken(by: "a file"))
    case .other(let found): throw .file(path: path, .taken(by: found))
    case .folder: break
    }
    let names = try FileSystem.names(in: path)
    if names.isEmpty { return false }
    guard replacing else { throw .file(path: path, .taken(by: "a folder that is not empty")) }
    for name in names where try FileSystem.kind(of: "\(path)/\(name)") == .folder {
      throw .file(path: path, .taken(by: "a folder with a folder \"\(name)\" in it"))
    }
    return true
  }

  /// Deletes a folder of files as far as possible.
  package static func remove(_ folder: String) {
    for name in (try? FileSystem.names(in: folder)) ?? [] { unlink("\(folder)/\(name)") }
    rmdir(folder)
  }
}
