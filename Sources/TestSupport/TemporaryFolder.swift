// A folder of its own for one test.

import Glibc

/// An empty folder under the system's folder for temporary files, deleted with all that is in it.
package final class TemporaryFolder {
  package let path: String

  package init() {
    var template = Array(((getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp") + "/espalier-test.XXXXXX").utf8CString)
    guard let made = mkdtemp(&template) else { fatalError("no folder for a test: \(String(cString: strerror(errno)))") }
    path = String(cString: made)
  }

  deinit { Self.remove(path) }

  /// The path of a file or folder in here.
  package func file(_ name: String) -> String { "\(path)/\(name)" }

  package func write(_ name: String, _ content: [UInt8]) -> String {
    guard let stream = fopen(file(name), "wb") else { fatalError("no file for a test: \(file(name))") }
    defer { fclose(stream) }
    fwrite(content, 1, content.count, stream)
    return file(name)
  }

  /// The bytes of a file at any path; nil if it cannot be read.
  package static func read(_ path: String) -> [UInt8]? {
    guard let stream = fopen(path, "rb") else { return nil }
    defer { fclose(stream) }
    var content: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = fread(&piece, 1, piece.count, stream), count > 0 { content += piece[..<count] }
    return content
  }

  /// Names in a folder, hidden ones too, sorted.
  package static func names(in folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      names.append(withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
    }
    return names.filter { $0 != "." && $0 != ".." }.sorted()
  }

  private static func remove(_ path: String) {
    if unlink(path) == 0 { return }
    for name in names(in: path) { remove("\(path)/\(name)") }
    rmdir(path)
  }
}
