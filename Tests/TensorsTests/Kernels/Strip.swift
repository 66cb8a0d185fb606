// Memory for kernels under test: not aligned to anything but its type, with sentinels at both ends.

/// `count` elements that begin one element behind a 64-byte boundary; what lies before and behind must stay.
final class Strip<Element: Equatable & BitwiseCopyable> {
  let count: Int
  let pointer: UnsafeMutablePointer<Element>
  private let base: UnsafeMutablePointer<Element>
  private let sentinel: Element

  init(_ values: [Element], sentinel: Element) {
    count = values.count
    self.sentinel = sentinel
    base = UnsafeMutableRawPointer.allocate(byteCount: (count + 2) * MemoryLayout<Element>.stride, alignment: 64)
      .bindMemory(to: Element.self, capacity: count + 2)
    pointer = base + 1
    base.initialize(to: sentinel)
    (pointer + count).initialize(to: sentinel)
    for (i, value) in values.enumerated() { (pointer + i).initialize(to: value) }
  }

  deinit { base.deallocate() }

  /// The values, or nothing if a kernel wrote beside them.
  var values: [Element] {
    guard base[0] == sentinel, pointer[count] == sentinel else { return [] }
    return (0..<count).map { pointer[$0] }
  }
}

extension Strip<Float> {
  convenience init(_ values: [Float]) { self.init(values, sentinel: -12345.678) }
}
