// The nameless file of results: what comes back, what does not, and how room is used.

import Glibc
import TestSupport
import Testing
import Workspace

/// The file descriptors of this process that are open on deleted files of a folder.
func spillDescriptors(in folder: String) -> [Int32] {
  TemporaryFolder.names(in: "/proc/self/fd").compactMap { Int32($0) }.filter { descriptor in
    var target = [CChar](repeating: 0, count: 4096)
    guard readlink("/proc/self/fd/\(descriptor)", &target, target.count - 1) > 0 else { return false }
    return String(decoding: target.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).hasPrefix(folder)
  }
}

@Suite struct SpillFileTests {
  static func write(_ bytes: [UInt8], to file: SpillFile) -> SpillFile.Extent? {
    bytes.withUnsafeBytes { file.write([$0]) }
  }

  static func read(_ extent: SpillFile.Extent, from file: SpillFile) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: extent.bytes)
    return bytes.withUnsafeMutableBytes { file.read(extent, into: [$0]) } ? bytes : nil
  }

  static func random(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = Seeded(seed)
    return (0..<count).map { _ in UInt8(random.int(in: 0...255)) }
  }

  @Test func piecesComeBack() throws {
    let folder = TemporaryFolder(), file = try SpillFile(folder: folder.file("a/b"), capacityBytes: 1 << 20)
    #expect(TemporaryFolder.names(in: folder.file("a/b")) == [], "the file has no name")
    let pieces = [0, 1, 4095, 4096, 4097, 20_000].map { Self.random($0, seed: UInt64($0)) }
    let extents = try pieces.map { try #require(Self.write($0, to: file)) }
    for (piece, extent) in zip(pieces, extents) { #expect(Self.read(extent, from: file) == piece) }
    #expect(file.bytes == 4096 * (0 + 1 + 1 + 1 + 2 + 5))
    for extent in extents { file.remove(extent) }
    #expect(file.bytes == 0)
  }

  @Test func partsLieTogether() throws {
    let folder = TemporaryFolder(), file = try SpillFile(folder: folder.path, capacityBytes: 1 << 20)
    let a = Self.random(100, seed: 1), b = Self.random(5000, seed: 2)
    let extent = try #require(a.withUnsafeBytes { a in b.withUnsafeBytes { file.write([a, $0]) } })
    #expect(extent.parts == [100, 5000] && file.bytes == 8192)
    var c = [UInt8](repeating: 0, count: 100), d = [UInt8](repeating: 0, count: 5000)
    #expect(c.withUnsafeMutableBytes { c in d.withUnsafeMutableBytes { file.read(extent, into: [c, $0]) } })
    #expect(a == c && b == d)
    #expect(!c.withUnsafeMutableBytes { file.read(extent, into: [$0]) }, "other sizes")
  }

  /// Every piece of room is used again, whatever the order in which pieces go.
  @Test func roomIsUsedAgain() throws {
    let folder = TemporaryFolder(), file = try SpillFile(folder: folder.path, capacityBytes: 16 * 4096)
    var random = Seeded(9), kept: [(SpillFile.Extent, [UInt8])] = []
    for step in 0..<400 {
      let bytes = Self.random(random.int(in: 1...5 * 4096), seed: UInt64(step))
      while kept.count > 0, file.bytes + SpillFile.room(bytes.count) > file.capacityBytes {
        file.remove(kept.remove(at: random.int(in: 0...kept.count - 1)).0)
      }
      if let extent = Self.write(bytes, to: file) { kept.append((extent, bytes)) }
      for (extent, bytes) in kept { #expect(Self.read(extent, from: file) == bytes, "\(random)") }
      #expect(file.bytes == kept.reduce(0) { $0 + SpillFile.room($1.0.bytes) } && file.bytes <= file.capacityBytes)
    }
    #expect(kept.count > 1)
    #expect(Self.write(Self.random(17 * 4096, seed: 1), to: file) == nil, "larger than the file may be")
  }

  @Test func damageIsNoticed() throws {
    let folder = TemporaryFolder(), file = try SpillFile(folder: folder.path, capacityBytes: 1 << 20)
    let bytes = Self.random(10_000, seed: 3), extent = try #require(Self.write(bytes, to: file))
    let descriptor = try #require(spillDescriptors(in: folder.path).first)
    for place in [0, 5000, 9999] {
      var wrong = bytes[place] ^ 1, right = bytes[place]
      #expect(pwrite(descriptor, &wrong, 1, extent.offset + place) == 1)
      #expect(Self.read(extent, from: file) == nil)
      #expect(pwrite(descriptor, &right, 1, extent.offset + place) == 1)
      #expect(Self.read(extent, from: file) == bytes)
    }
    #expect(ftruncate(descriptor, 5000) == 0)
    #expect(Self.read(extent, from: file) == nil)
  }

  @Test func aFolderThatCannotBeIsAnError() throws {
    let error = try #require(throws: SpillError.self) { try SpillFile(folder: "/proc/espalier", capacityBytes: 1) }
    #expect(error.message.hasPrefix("no file could be made in /proc/espalier: "))
  }

  @Test func theFileGoesWithItsObject() throws {
    let folder = TemporaryFolder()
    do {
      let file = try SpillFile(folder: folder.path, capacityBytes: 1 << 20)
      #expect(spillDescriptors(in: folder.path).count == 1 && file.bytes == 0)
    }
    #expect(spillDescriptors(in: folder.path).isEmpty)
  }
}
