// Copies in C's form that live as long as one call.

/// Owns what it copied; pointers into it are valid while it lives.
final class ForeignArena {
  private var blocks: [UnsafeMutableRawPointer] = []

  deinit { for block in blocks { block.deallocate() } }

  func copy<Element: BitwiseCopyable>(_ elements: [Element]) -> UnsafeMutablePointer<Element> {
    let copy = UnsafeMutablePointer<Element>.allocate(capacity: max(1, elements.count))
    blocks.append(UnsafeMutableRawPointer(copy))
    elements.withUnsafeBufferPointer { elements in
      if let start = elements.baseAddress { copy.initialize(from: start, count: elements.count) }
    }
    return copy
  }

  func copy<Element: BitwiseCopyable>(one element: Element) -> UnsafePointer<Element> {
    UnsafePointer(copy([element]))
  }

  /// The text and a zero byte.
  func copy(text: String) -> UnsafePointer<CChar> { UnsafePointer(copy(Array(text.utf8CString))) }
}
