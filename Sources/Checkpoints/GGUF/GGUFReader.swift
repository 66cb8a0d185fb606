// Reading the little-endian primitives of a GGUF file. Every read is checked against the bytes that remain, and every
// count against what those bytes can hold, before anything is allocated.

/// A place in a GGUF file, moving forward.
struct GGUFReader {
  let bytes: UnsafeRawBufferPointer
  private(set) var offset = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  private var remaining: Int { bytes.count - offset }

  mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type = T.self, _ what: @autoclosure () -> String
  ) throws(GGUFFault) -> T {
    let size = MemoryLayout<T>.size
    guard remaining >= size else { throw truncated(what(), UInt64(size)) }
    defer { offset += size }
    return T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
  }

  /// A 64-bit count of things that take at least `size` bytes each, `limit` at most whatever the size of the file:
  /// in memory they may take more than in the file.
  mutating func count(
    _ what: @autoclosure () -> String, size: Int, limit: Int = .max
  ) throws(GGUFFault) -> Int {
    let count = try integer(UInt64.self, "the count of \(what())")
    let most = remaining / size
    guard count <= most else { throw .count(what: what(), count: count, most: most) }
    guard count <= limit else { throw .tooMany(what: what(), count: count, limit: limit) }
    return Int(count)
  }

  /// The bytes of a length-prefixed string, which may not be UTF-8.
  mutating func text(_ what: @autoclosure () -> String) throws(GGUFFault) -> UnsafeRawBufferPointer {
    let length = try integer(UInt64.self, "the length of \(what())")
    guard length <= remaining else { throw truncated(what(), length) }
    defer { offset += Int(length) }
    return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + Int(length)])
  }

  /// A string of at most `limit` bytes, copied.
  mutating func string(_ what: @autoclosure () -> String, limit: Int) throws(GGUFFault) -> String {
    let start = offset
    let text = try text(what())
    guard text.count <= limit else {
      throw .tooMany(what: "bytes of \(what())", count: UInt64(text.count), limit: limit)
    }
    guard let string = String(validating: text, as: UTF8.self) else {
      throw .invalidText(what: what(), offset: start)
    }
    return string
  }

  /// Passes over `count` bytes.
  mutating func skip(_ count: Int, _ what: @autoclosure () -> String) throws(GGUFFault) {
    guard count <= remaining else { throw truncated(what(), UInt64(count)) }
    offset += count
  }

  private func truncated(_ what: String, _ needed: UInt64) -> GGUFFault {
    .truncated(what: what, offset: offset, needed: needed, available: remaining)
  }
}
