// Memory for fp32 activations, scores and scratch.

import Glibc

/// `count` floats, aligned to a cache line, uninitialised at first. Freed with the object.
///
/// Sendable because whoever shares a buffer between threads hands each a part of its own (`ComputePool`).
package final class FloatBuffer: @unchecked Sendable {
  package let count: Int
  package let pointer: UnsafeMutablePointer<Float>

  /// - Parameter count: at least 0. The caller bounds it by what a checked shape allows.
  package init(count: Int) {
    self.count = count
    let bytes = max(1, count) * MemoryLayout<Float>.stride
    pointer = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
      .bindMemory(to: Float.self, capacity: max(1, count))
  }

  deinit { UnsafeMutableRawPointer(pointer).deallocate() }

  package var values: UnsafeMutableBufferPointer<Float> { UnsafeMutableBufferPointer(start: pointer, count: count) }
  package var readOnly: UnsafeBufferPointer<Float> { UnsafeBufferPointer(start: pointer, count: count) }
  package var bytes: Int { count * MemoryLayout<Float>.stride }

  /// The same values in memory of their own.
  package var copied: FloatBuffer {
    let copy = FloatBuffer(count: count)
    copy.pointer.update(from: pointer, count: count)
    return copy
  }
}
