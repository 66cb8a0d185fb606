// Memory with nothing readable behind its end, so that a kernel that reads on is caught at once.

import Glibc
package import Tensors

/// Bytes that end right before an unreadable page.
package final class GuardedBytes: ByteStorage, @unchecked Sendable {  // unchecked: never changed after init
  package let bytes: UnsafeRawBufferPointer
  private let pages: UnsafeMutableRawPointer
  private let pageBytes: Int

  package init(_ content: some Collection<UInt8>) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let room = (content.count + page - 1) / page * page
    pageBytes = room + page
    guard
      let pages = mmap(nil, pageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), pages != MAP_FAILED
    else { fatalError("no memory for a test") }
    self.pages = pages
    let start = UnsafeMutableRawBufferPointer(start: pages + room - content.count, count: content.count)
    start.copyBytes(from: content)
    mprotect(pages + room, page, PROT_NONE)
    bytes = UnsafeRawBufferPointer(start)
  }

  deinit { munmap(pages, pageBytes) }
}

extension TensorView {
  /// A tensor of these bytes behind `offset` others, or nil if they do not make one.
  package init?(guarding content: [UInt8], dtype: DType, shape: [Int], offset: Int = 0, rowOrder: RowOrder = .stored) {
    let storage = GuardedBytes([UInt8](repeating: 0xa5, count: offset) + content)
    self.init(storage: storage, byteOffset: offset, dtype: dtype, shape: shape, rowOrder: rowOrder)
  }

  /// An fp32 tensor of these values, or nil if the shape is of another count.
  package init?(guarding values: [Float], shape: [Int], offset: Int = 0, rowOrder: RowOrder = .stored) {
    let content = values.withUnsafeBytes(Array.init)
    self.init(guarding: content, dtype: .f32, shape: shape, offset: offset, rowOrder: rowOrder)
  }
}
