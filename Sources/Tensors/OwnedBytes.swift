// Bytes in memory of our own, where a file's cannot be used as they lie.

import Glibc

/// Memory that is written once, when it is made.
package final class OwnedBytes: ByteStorage, @unchecked Sendable {  // constant after init
  package let bytes: UnsafeRawBufferPointer

  /// - Parameter fill: writes all of the memory, which is aligned to a cache line and holds zeros at first.
  package init(count: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, count), alignment: 64)
    memory.initializeMemory(as: UInt8.self, repeating: 0)
    fill(UnsafeMutableRawBufferPointer(rebasing: memory[..<count]))
    bytes = UnsafeRawBufferPointer(rebasing: memory[..<count])
  }

  deinit { bytes.baseAddress.map { UnsafeMutableRawPointer(mutating: $0).deallocate() } }
}

extension TensorView {
  /// The transposed matrix in memory of its own, or nil if this is no matrix of a plain type in stored order.
  package var transposed: TensorView? {
    guard shape.count == 2, dtype.blockElements == 1, rowOrder == .stored else { return nil }
    let rows = rows, columns = columns, source = bytes
    let storage = OwnedBytes(count: byteCount) { target in
      switch dtype.blockBytes {
      case 2: Self.transpose(source, rows, columns, into: target, as: UInt16.self)
      case 4: Self.transpose(source, rows, columns, into: target, as: UInt32.self)
      case 8: Self.transpose(source, rows, columns, into: target, as: UInt64.self)
      default: Self.transpose(source, rows, columns, into: target, as: UInt8.self)
      }
    }
    return TensorView(storage: storage, byteOffset: 0, dtype: dtype, shape: [columns, rows])
  }

  /// In tiles, so that reads and writes stay in the cache.
  private static func transpose<Element: BitwiseCopyable>(
    _ source: UnsafeRawBufferPointer, _ rows: Int, _ columns: Int, into target: UnsafeMutableRawBufferPointer,
    as type: Element.Type
  ) {
    let size = MemoryLayout<Element>.size, tile = 32
    guard let source = source.baseAddress, let target = target.baseAddress else { return }
    for firstRow in stride(from: 0, to: rows, by: tile) {
      for firstColumn in stride(from: 0, to: columns, by: tile) {
        for column in firstColumn..<min(columns, firstColumn + tile) {
          for row in firstRow..<min(rows, firstRow + tile) {
            let value = source.loadUnaligned(fromByteOffset: (row * columns + column) * size, as: type)
            target.storeBytes(of: value, toByteOffset: (column * rows + row) * size, as: type)
          }
        }
      }
    }
  }
}
