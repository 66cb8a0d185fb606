// Writing a file so that either the old or the whole new one is there, whatever happens in between:
// temporary name in the same folder, fsync, rename, fsync of the folder.

import Glibc

package enum AtomicFile {
  /// Writes a file at `path`, replacing a regular file that is there.
  ///
  /// If `body` or anything else throws, what was at `path` is intact and the temporary file is gone.
  /// A symbolic link at `path` is replaced itself, not what it points to.
  /// - Throws: what `body` throws; `CheckpointError.file` from the file system.
  package static func write(to path: String, _ body: (OutputFile) throws -> Void) throws {
    let (folder, name) = try FileSystem.split(path)
    try refuseSpecial(path)
    let temporary = "\(folder)/\(temporaryName(for: name))"
    do {
      let file = try OutputFile(path: path, temporaryPath: temporary)
      try body(file)
      try file.finish()
      guard rename(temporary, path) == 0 else { throw CheckpointError.system("rename", path) }
    } catch {
      unlink(temporary)
      throw error
    }
    try FileSystem.synchronise(folder: folder)
  }

  /// A name beside `name` that nobody else takes, hidden from listings.
  static func temporaryName(for name: String) -> String {
    // NAME_MAX is 255 bytes; only the start of a long name fits.
    let start = String(decoding: Array(name.utf8.prefix(180)), as: UTF8.self)
    return ".\(start).\(String(UInt64.random(in: .min ... .max), radix: 36)).partial"
  }

  /// Renaming over a folder fails, and over a device it would succeed.
  private static func refuseSpecial(_ path: String) throws(CheckpointError) {
    switch try FileSystem.kind(of: path) {
    case nil, .file: break
    case .folder: throw .file(path: path, .notRegular(found: "a folder"))
    case .other(let found): throw .file(path: path, .notRegular(found: found))
    }
  }
}
