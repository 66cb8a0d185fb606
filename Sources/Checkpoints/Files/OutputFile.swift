// A file being written: sequential, every byte or an error. Created and put in place by AtomicFile and AtomicFolder.

import Glibc

/// A new file, open for writing.
package final class OutputFile {
  /// Where the file will be when it is complete; errors name this.
  package let path: String
  package private(set) var byteCount = 0
  private var descriptor: Int32

  /// Creates the file at `temporaryPath`, which must not exist.
  init(path: String, temporaryPath: String) throws(CheckpointError) {
    self.path = path
    descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw .system("open", path) }
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
  }

  /// Appends `bytes`.
  package func write(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    guard var next = bytes.baseAddress else { return }
    var left = bytes.count
    while left > 0 {
      // Linux writes at most 2 GiB - 4 KiB at once; smaller pieces also keep the pauses short.
      let written = Glibc.write(descriptor, next, min(left, 1 << 26))
      if written < 0 {
        if errno == EINTR { continue }
        throw .system("write", path)
      }
      next += written
      left -= written
      byteCount += written
    }
  }

  /// Appends `bytes`.
  package func write(_ bytes: [UInt8]) throws(CheckpointError) {
    let result = bytes.withUnsafeBytes { bytes in Result { () throws(CheckpointError) in try write(bytes) } }
    try result.get()
  }

  /// Makes the bytes durable and closes the file.
  func finish() throws(CheckpointError) {
    guard fsync(descriptor) == 0 else { throw .system("fsync", path) }
    let closing = descriptor
    descriptor = -1
    guard close(closing) == 0 else { throw .system("close", path) }
  }
}
