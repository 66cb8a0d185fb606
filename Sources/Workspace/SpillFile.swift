// A file without a name for results that memory has no room for. It is gone with the process, however that ends.
//
// Nothing that comes back is trusted: what was written is known by its digests, and a piece that does not match them is
// reported as lost.

import Glibc

/// Pieces of bytes on disk. Used by one thread at a time; whoever shares it guards it.
package final class SpillFile {
  /// Where something was written, and what it was.
  package struct Extent: Equatable {
    package let offset: Int
    /// Bytes of each part; parts lie one behind the other.
    package let parts: [Int]
    fileprivate let digests: [String]

    package var bytes: Int { parts.reduce(0, +) }
    fileprivate var room: Int { SpillFile.room(bytes) }
  }

  /// Pieces begin at pages.
  private static let page = 4096

  /// What all pieces may take together.
  package let capacityBytes: Int
  /// What they take.
  package private(set) var bytes = 0
  private let descriptor: Int32
  /// Room before the end that nothing is in, by offset; neighbours are joined.
  private var free: [Range<Int>] = []
  private var end = 0

  /// Opens a nameless file in `folder`, which is made if need be.
  /// - Throws: `SpillError`.
  package init(folder: String, capacityBytes: Int) throws(SpillError) {
    self.capacityBytes = capacityBytes
    Self.makeFolders(folder)
    var template = Array("\(folder)/spill.XXXXXX".utf8CString)
    descriptor = mkstemp(&template)
    guard descriptor >= 0 else { throw SpillError(folder: folder, reason: String(cString: strerror(errno))) }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    _ = unlink(template)
  }

  deinit { _ = close(descriptor) }

  /// Bytes that a piece of `bytes` takes.
  package static func room(_ bytes: Int) -> Int { (bytes + page - 1) / page * page }

  /// Writes `parts` one behind the other.
  /// - Returns: nil if there is no room for them in one place, or the disk refuses them; nothing is kept then.
  package func write(_ parts: [UnsafeRawBufferPointer]) -> Extent? {
    let count = parts.reduce(0) { $0 + $1.count }, room = Self.room(count)
    guard let offset = take(room) else { return nil }
    var place = offset
    for part in parts {
      let isWritten = transfer(part.count, at: place) { count, offset, done in
        pwrite(descriptor, part.baseAddress.map { $0 + done }, count, offset)
      }
      guard isWritten else {
        give(offset..<offset + room)
        return nil
      }
      place += part.count
    }
    return Extent(offset: offset, parts: parts.map(\.count), digests: parts.map(sha256))
  }

  /// Reads a piece into `parts`, which have the sizes of the extent's.
  /// - Returns: whether it is what was written. If not, `parts` hold nothing of use.
  package func read(_ extent: Extent, into parts: [UnsafeMutableRawBufferPointer]) -> Bool {
    guard parts.map(\.count) == extent.parts else { return false }
    var place = extent.offset
    for (part, digest) in zip(parts, extent.digests) {
      let isRead = transfer(part.count, at: place) { count, offset, done in
        pread(descriptor, part.baseAddress.map { $0 + done }, count, offset)
      }
      guard isRead, sha256(UnsafeRawBufferPointer(part)) == digest else { return false }
      place += part.count
    }
    return true
  }

  /// Forgets a piece.
  package func remove(_ extent: Extent) { give(extent.offset..<extent.offset + extent.room) }

  /// The first gap that is large enough, else what lies behind the end.
  private func take(_ room: Int) -> Int? {
    guard bytes + room <= capacityBytes else { return nil }
    if let index = free.firstIndex(where: { $0.count >= room }) {
      let gap = free.remove(at: index)
      if gap.count > room { free.insert(gap.lowerBound + room..<gap.upperBound, at: index) }
      bytes += room
      return gap.lowerBound
    }
    guard end + room <= capacityBytes else { return nil }
    defer { end += room }
    bytes += room
    return end
  }

  private func give(_ room: Range<Int>) {
    bytes -= room.count
    var joined = room
    free.removeAll { gap in
      guard gap.upperBound == joined.lowerBound || gap.lowerBound == joined.upperBound else { return false }
      joined = min(gap.lowerBound, joined.lowerBound)..<max(gap.upperBound, joined.upperBound)
      return true
    }
    if joined.upperBound == end {
      end = joined.lowerBound
      _ = ftruncate(descriptor, end)  // if the disk keeps it, it is used again
    } else {
      free.insert(joined, at: free.firstIndex { $0.lowerBound > joined.lowerBound } ?? free.count)
    }
  }

  /// Moves `count` bytes by calls that may move fewer.
  private func transfer(
    _ count: Int, at offset: Int, _ move: (_ count: Int, _ offset: Int, _ done: Int) -> Int
  ) -> Bool {
    var done = 0
    while done < count {
      let moved = move(min(count - done, 1 << 30), offset + done, done)
      if moved < 0, errno == EINTR { continue }
      guard moved > 0 else { return false }
      done += moved
    }
    return true
  }

  private static func makeFolders(_ path: String) {
    var made = path.hasPrefix("/") ? "" : "."
    for name in path.split(separator: "/") {
      made += "/\(name)"
      _ = mkdir(made, 0o700)
    }
  }
}

/// Why nothing can be put on disk.
package struct SpillError: Error, Equatable {
  package let folder: String
  package let reason: String

  package var message: String { "no file could be made in \(folder): \(reason)" }
}

extension SpillFile {
  /// `$ESPALIER_CACHE_DIR`, else `$XDG_CACHE_HOME/espalier`, else `~/.cache/espalier`. (XDG Base Directory
  /// Specification)
  package static var standardFolder: String {
    func value(_ name: String) -> String? {
      getenv(name).map { String(cString: $0) }.flatMap { $0.hasPrefix("/") ? $0 : nil }
    }
    return value("ESPALIER_CACHE_DIR") ?? value("XDG_CACHE_HOME").map { "\($0)/espalier" }
      ?? value("HOME").map { "\($0)/.cache/espalier" } ?? "/tmp"
  }
}
