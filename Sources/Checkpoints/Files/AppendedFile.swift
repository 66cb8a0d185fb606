// A file that only grows, record by record, and may be gone on with after an interruption. One writer at a time.

import Glibc

/// A file open for appending. Used by one thread at a time.
package final class AppendedFile {
  package let path: String
  /// Bytes that are whole records.
  package private(set) var byteCount: Int
  private let descriptor: Int32

  /// Opens the file at `path`, or makes it.
  /// - Parameter isNew: nothing may be there.
  /// - Throws: `CheckpointError.file`, also if another writer has it open.
  package init(path: String, isNew: Bool = false) throws(CheckpointError) {
    try FileSystem.check(path)
    // Without O_NONBLOCK, opening a named pipe would wait for its other end.
    let flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | (isNew ? O_EXCL : 0)
    descriptor = open(path, flags, 0o666)
    self.path = path
    byteCount = 0
    guard descriptor >= 0 else {
      throw errno == EEXIST ? .file(path: path, .taken(by: "a file")) : .system("open", path)
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system("fstat", path) }
    switch FileSystem.kind(mode: status.st_mode) {
    case .file: break
    case .folder: throw .file(path: path, .notRegular(found: "a folder"))
    case .other(let found): throw .file(path: path, .notRegular(found: found))
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      throw errno == EWOULDBLOCK ? .file(path: path, .locked) : .system("flock", path)
    }
    byteCount = Int(status.st_size)
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// The last `limit` bytes at most.
  package func tail(limit: Int) throws(CheckpointError) -> [UInt8] {
    let count = min(limit, byteCount)
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let offset = byteCount - count + done
      let got = bytes.withUnsafeMutableBytes { bytes in
        pread(descriptor, bytes.baseAddress.map { $0 + done }, count - done, offset)
      }
      if got < 0, errno == EINTR { continue }
      guard got > 0 else { throw .system("pread", path) }
      done += got
    }
    return bytes
  }

  /// Shortens the file to its first `count` bytes.
  package func truncate(to count: Int) throws(CheckpointError) {
    guard ftruncate(descriptor, count) == 0 else { throw .system("ftruncate", path) }
    byteCount = count
  }

  /// Takes away what follows the last line feed: a line that an interruption cut short.
  /// - Returns: how many bytes there were.
  @discardableResult
  package func truncateToWholeLines() throws(CheckpointError) -> Int {
    var window = 1 << 16
    while true {
      let tail = try tail(limit: window)
      if let end = tail.lastIndex(of: UInt8(ascii: "\n")) {
        let rest = tail.count - 1 - end
        if rest > 0 { try truncate(to: byteCount - rest) }
        return rest
      }
      guard tail.count < byteCount else {
        try truncate(to: 0)
        return tail.count
      }
      window *= 4
    }
  }

  /// Appends a record. If not all of it can be written, nothing is.
  package func append(_ bytes: [UInt8]) throws(CheckpointError) {
    var done = 0
    while done < bytes.count {
      let put = bytes.withUnsafeBytes { bytes in
        pwrite(descriptor, bytes.baseAddress.map { $0 + done }, min(bytes.count - done, 1 << 26), byteCount + done)
      }
      if put < 0, errno == EINTR { continue }
      guard put > 0 else {
        let error = CheckpointError.system("write", path)
        _ = ftruncate(descriptor, byteCount)  // so that nobody reads half a record
        throw error
      }
      done += put
    }
    byteCount += bytes.count
  }

  /// Makes what was appended durable.
  package func synchronise() throws(CheckpointError) {
    guard fsync(descriptor) == 0 else { throw .system("fsync", path) }
  }
}
