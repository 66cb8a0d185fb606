// A file that may be a plugin, opened for reading: what it is, whether it may be trusted, bytes at checked places.
// Knows nothing of ELF and runs nothing.

import Glibc

/// Which file lies at a path, and whether it is still the same one.
struct FileIdentity: Equatable, Sendable {
  let device: UInt64
  let inode: UInt64
  let size: Int64
  let modifiedSeconds: Int64
  let modifiedNanoseconds: Int64

  init(_ status: stat) {
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    size = Int64(status.st_size)
    modifiedSeconds = Int64(status.st_mtim.tv_sec)
    modifiedNanoseconds = Int64(status.st_mtim.tv_nsec)
  }
}

/// An open regular file that not everyone may write to.
struct PluginFile: ~Copyable {
  /// Absolute and free of symbolic links.
  let path: String
  let identity: FileIdentity
  var size: UInt64 { UInt64(identity.size) }
  private let descriptor: Int32

  /// - Throws: `unreadable`, `notRegularFile` or `writableByAnyone`.
  ///
  /// Who may write a plugin may run code here. A file or folder that *anyone* may write to is therefore refused.
  /// A folder with the sticky bit, such as /tmp, passes, because there nobody can replace another's file. Group write
  /// passes as well: with the usual umask of 002 every build has it, for a group of one.
  init(path: String) throws(PluginRejection) {
    guard !path.utf8.contains(0) else { throw .unreadable(reason: "the path contains a zero byte") }
    guard let resolved = realpath(path, nil) else { throw .unreadable(reason: systemError()) }
    defer { free(resolved) }
    let absolute = String(cString: resolved)

    // O_NONBLOCK: opening a pipe that nobody writes to must not wait.
    let opened = open(absolute, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    guard opened >= 0 else { throw .unreadable(reason: systemError()) }
    var status = stat()
    guard fstat(opened, &status) == 0 else {
      let reason = systemError()
      close(opened)
      throw .unreadable(reason: reason)
    }
    do throws(PluginRejection) {
      guard status.st_mode & S_IFMT == S_IFREG else { throw .notRegularFile }
      guard status.st_mode & S_IWOTH == 0 else { throw .writableByAnyone(path: absolute) }
      let folder = Self.folder(of: absolute)
      var folderStatus = stat()
      guard stat(folder, &folderStatus) == 0 else { throw .unreadable(reason: systemError()) }
      guard folderStatus.st_mode & S_IWOTH == 0 || folderStatus.st_mode & S_ISVTX != 0 else {
        throw .writableByAnyone(path: folder)
      }
    } catch {
      close(opened)
      throw error
    }
    self.path = absolute
    identity = FileIdentity(status)
    descriptor = opened
  }

  deinit { close(descriptor) }

  /// Exactly `count` bytes at `offset`.
  /// - Throws: `damaged`, naming `what`, if the file does not have them; `unreadable` if the system fails.
  func bytes(at offset: UInt64, count: Int, of what: String) throws(PluginRejection) -> LittleEndianBytes {
    let (end, overflow) = offset.addingReportingOverflow(UInt64(count))
    guard !overflow, end <= size else { throw .damaged(detail: "\(what) lies outside the file") }
    var done = 0
    var failed = false
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      while done < count, let base = buffer.baseAddress {
        let got = pread(descriptor, base + done, count - done, off_t(offset) + off_t(done))
        if got < 0 && errno == EINTR { continue }
        failed = got < 0
        if got <= 0 { break }
        done += got
      }
      initialized = done
    }
    if failed { throw .unreadable(reason: systemError()) }
    guard done == count else { throw .damaged(detail: "\(what) lies outside the file") }
    return LittleEndianBytes(bytes: bytes)
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")), slash != path.startIndex else { return "/" }
    return String(path[..<slash])
  }
}

/// Bytes out of which little-endian numbers are read. Places are the reader's own constants, hence within bounds.
struct LittleEndianBytes {
  let bytes: [UInt8]

  func u8(_ offset: Int) -> UInt8 { bytes[offset] }
  func u16(_ offset: Int) -> UInt16 { load(offset) }
  func u32(_ offset: Int) -> UInt32 { load(offset) }
  func u64(_ offset: Int) -> UInt64 { load(offset) }

  private func load<T: FixedWidthInteger>(_ offset: Int) -> T {
    bytes.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
  }
}

/// The text of `errno`.
func systemError() -> String {
  let number = errno
  var text = [CChar](repeating: 0, count: 256)
  guard strerror_r(number, &text, text.count) == 0 else { return "error \(number)" }
  return text.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}
