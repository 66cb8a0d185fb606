// The few system calls that reading and writing checkpoints need, with errors instead of errno.
// Knows no format; buffers nothing.

import Glibc

/// System calls on paths.
package enum FileSystem {
  /// What a path names; symbolic links are followed.
  enum Kind: Equatable {
    case file, folder
    /// "a named pipe", "a device", ...
    case other(String)
  }

  static func kind(mode: mode_t) -> Kind {
    switch mode & S_IFMT {
    case S_IFREG: .file
    case S_IFDIR: .folder
    case S_IFIFO: .other("a named pipe")
    case S_IFSOCK: .other("a socket")
    case S_IFCHR, S_IFBLK: .other("a device")
    default: .other("a special file")
    }
  }

  /// - Returns: nil if there is nothing at `path`.
  static func kind(of path: String) throws(CheckpointError) -> Kind? {
    try check(path)
    var status = stat()
    guard stat(path, &status) == 0 else {
      if errno == ENOENT { return nil }
      throw .system("stat", path)
    }
    return kind(mode: status.st_mode)
  }

  /// The absolute path without symbolic links.
  static func resolved(_ path: String) throws(CheckpointError) -> String {
    try check(path)
    guard let real = realpath(path, nil) else { throw .system("realpath", path) }
    defer { free(real) }
    return String(cString: real)
  }

  /// Names of the entries of a folder but `.` and `..`, sorted by their bytes.
  package static func names(in folder: String) throws(CheckpointError) -> [String] {
    try check(folder)
    guard let stream = opendir(folder) else { throw .system("opendir", folder) }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// Makes a folder and those that it lies in, as far as they are not there.
  package static func makeFolders(_ path: String) throws(CheckpointError) {
    if try kind(of: path) == .folder { return }
    let parent = try split(path).folder
    if try kind(of: parent) == nil { try makeFolders(parent) }
    guard mkdir(path, 0o777) == 0 || errno == EEXIST else { throw .system("mkdir", path) }
    guard try kind(of: path) == .folder else { throw .file(path: path, .taken(by: "something that is no folder")) }
  }

  /// Makes the entries of `folder` durable.
  static func synchronise(folder: String) throws(CheckpointError) {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system("open", folder) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw .system("fsync", folder) }
  }

  /// Refuses what C would read as another path.
  static func check(_ path: String) throws(CheckpointError) {
    guard !path.isEmpty, !path.utf8.contains(0) else { throw .file(path: path, .invalidPath) }
  }

  /// Whether `name` names an entry of a folder and nothing outside of it.
  static func isPlainName(_ name: String) -> Bool {
    !name.isEmpty && name != "." && name != ".." && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == 0 }
  }

  /// The folder that holds `path`, and its name in there.
  static func split(_ path: String) throws(CheckpointError) -> (folder: String, name: String) {
    try check(path)
    // By bytes: a slash with a combining accent behind it is still a slash.
    let slash = UInt8(ascii: "/")
    var trimmed = Array(path.utf8)[...]
    while trimmed.count > 1, trimmed.last == slash { trimmed.removeLast() }
    let last = trimmed.lastIndex(of: slash)
    let name = String(decoding: last.map { trimmed[($0 + 1)...] } ?? trimmed, as: UTF8.self)
    let folder = last.map { $0 == 0 ? "/" : String(decoding: trimmed[..<$0], as: UTF8.self) } ?? "."
    guard !name.isEmpty, name != ".", name != ".." else { throw .file(path: path, .invalidPath) }
    return (folder, name)
  }
}

extension CheckpointError {
  /// The failure of the system call that just returned.
  static func system(_ call: String, _ path: String) -> CheckpointError {
    let code = errno
    return .file(path: path, code == ENOENT ? .notFound : .system(call: call, code: code))
  }
}
