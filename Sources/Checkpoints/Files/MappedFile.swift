// A file as memory: mapped read-only and private, so that weights are paged in when used and never copied.
// Maps regular files only. Of a file that another program truncates afterwards the missing pages read as zeros, and
// `isIntact` says so.

import CSystem
import Glibc
import Tensors

/// A mapped file; unmapped when the last view onto it is gone.
package final class MappedFile: ByteStorage, @unchecked Sendable {
  // Unchecked: the mapping is read-only and lives exactly as long as the object.

  package let path: String
  package let bytes: UnsafeRawBufferPointer
  private let guardian: Int32

  /// Maps the whole file at `path`.
  /// - Throws: `CheckpointError.file` if it cannot be opened or is not a regular file.
  package init(path: String) throws(CheckpointError) {
    try FileSystem.check(path)
    // Without O_NONBLOCK, opening a named pipe would wait for its other end.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw .system("open", path) }
    defer { close(descriptor) }

    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system("fstat", path) }
    switch FileSystem.kind(mode: status.st_mode) {
    case .file: break
    case .folder: throw .file(path: path, .notRegular(found: "a folder"))
    case .other(let found): throw .file(path: path, .notRegular(found: found))
    }

    self.path = path
    let count = Int(status.st_size)
    guard count > 0 else {  // mmap refuses empty files
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      guardian = -1
      return
    }
    let address = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0)
    guard let address, address != MAP_FAILED else { throw .system("mmap", path) }
    bytes = UnsafeRawBufferPointer(start: address, count: count)
    guardian = cs_guard(address, count)
  }

  package var isIntact: Bool { cs_guard_is_damaged(guardian) == 0 }

  deinit {
    cs_unguard(guardian)
    if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
  }
}

extension MappedFile {
  /// Maps a file that will be held in memory as a whole when it is parsed.
  /// - Throws: `FileFault.tooLarge` beyond `limit` bytes.
  package convenience init(path: String, limit: Int) throws(CheckpointError) {
    try self.init(path: path)
    guard bytes.count <= limit else { throw .file(path: path, .tooLarge(bytes: bytes.count, limit: limit)) }
  }
}
