// Bytes from a file descriptor, a buffer at a time. Knows nothing of frames.
// Ends early if another descriptor, the way back to whoever sends the bytes, is closed at its far end.

import Glibc

/// A fixed buffer in front of a descriptor: look at `bytes`, consume them, ask for more.
struct InputBuffer: ~Copyable {
  private let source: Source
  private var storage = [UInt8](repeating: 0, count: 64 << 10)
  private var filled = 0..<0
  /// errno of the read that failed; the input then counts as ended.
  private(set) var failure: Int32?

  /// - Parameter wayBack: nil for bytes that nobody answers.
  init(descriptor: Int32, wayBack: Int32? = nil) { source = Source(descriptor: descriptor, wayBack: wayBack) }

  /// What has been read and not consumed; indices are those of the slice.
  var bytes: ArraySlice<UInt8> { storage[filled] }

  mutating func consume(_ count: Int) { filled = (filled.lowerBound + count)..<filled.upperBound }

  /// Reads more behind what is there, which must be less than the buffer holds. False at the end of the input.
  mutating func fill() -> Bool {
    if filled.isEmpty { filled = 0..<0 }
    if filled.upperBound == storage.count {
      let kept = filled
      guard kept.count < storage.count else { return false }
      storage.withUnsafeMutableBytes { $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[kept])) }
      filled = 0..<kept.count
    }
    let (source, free) = (source, filled.upperBound...)
    let count = storage.withUnsafeMutableBytes { source.read(UnsafeMutableRawBufferPointer(rebasing: $0[free])) }
    if count < 0 { failure = Int32(-count) }
    filled = filled.lowerBound..<filled.upperBound + max(0, count)
    return count > 0
  }

  /// The next `count` bytes, or how many of them the input lacks. Memory is touched only as bytes arrive.
  mutating func take(_ count: Int) -> Result<[UInt8], Missing> {
    let buffered = bytes.prefix(count)
    var done = buffered.count
    let body = [UInt8](unsafeUninitializedCapacity: count) { target, initialized in
      let raw = UnsafeMutableRawBufferPointer(target)
      raw.copyBytes(from: buffered)
      while done < count {
        let got = source.read(UnsafeMutableRawBufferPointer(rebasing: raw[done..<count]))
        if got < 0 { failure = Int32(-got) }
        guard got > 0 else { break }
        done += got
      }
      initialized = done
    }
    consume(buffered.count)
    return done == count ? .success(body) : .failure(Missing(bytes: count - done))
  }

  struct Missing: Error { let bytes: Int }
}

/// The descriptors behind the buffer.
private struct Source {
  let descriptor: Int32
  let wayBack: Int32?

  /// read(2) that outlasts signals and descriptors set to non-blocking: bytes read, 0 at the end, -errno.
  func read(_ target: UnsafeMutableRawBufferPointer) -> Int {
    while isOpen() {
      let count = Glibc.read(descriptor, target.baseAddress, target.count)
      if count >= 0 { return count }
      if errno != EINTR, errno != EAGAIN { return -Int(errno) }
    }
    return 0
  }

  /// Waits until there is something to read. False if the way back is closed: poll(2) says so without being asked,
  /// whereas a write would tell only when there is something to write.
  private func isOpen() -> Bool {
    guard descriptor >= 0 else { return true }  // poll would wait for it, read says what is wrong
    var waits = [pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)]
    if let wayBack { waits.append(pollfd(fd: wayBack, events: 0, revents: 0)) }
    while poll(&waits, nfds_t(waits.count), -1) < 0, errno == EINTR {}
    return waits.dropFirst().allSatisfy { $0.revents == 0 }
  }
}
