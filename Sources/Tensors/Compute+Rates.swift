// How fast this machine is at this moment: the ceilings that benchmarks are read against.

import Glibc
import Synchronization

extension Compute {
  /// Floating-point operations per second of a large square matrix product in fp32 on all compute threads.
  /// - Parameter size: rows and columns; three matrices of it exist meanwhile.
  package func matrixProductRate(size: Int = 2048, repetitions: Int = 2) -> Double {
    let a = FloatBuffer(count: size * size), b = FloatBuffer(count: size * size), c = FloatBuffer(count: size * size)
    for i in 0..<size * size {
      a.pointer[i] = Float(i % 7) - 3
      b.pointer[i] = Float(i % 5) - 2
    }
    let pieces = pool.threads, rows = (size + pieces - 1) / pieces
    return best(of: repetitions) {
      pool.parallelFor(pieces) { piece, _ in
        let first = piece * rows, count = min(size, first + rows) - first
        guard count > 0 else { return }
        blas.product(
          m: count, n: size, k: size, a.pointer + first * size, lda: size, b.pointer, ldb: size, transposingB: true,
          c.pointer + first * size, ldc: size)
      }
    } operations: {
      2 * Double(size) * Double(size) * Double(size)
    }
  }

  /// What products in a precision reach: OpenBLAS in fp32, our own in bf16.
  package func productRate(_ precision: Precision) -> Double {
    precision == .fp32 ? matrixProductRate() : packedProductRate(precision)
  }

  /// The same of Espalier's own product with packed operands, packing included.
  package func packedProductRate(_ precision: Precision, size: Int = 2048, repetitions: Int = 2) -> Double {
    let a = FloatBuffer(count: size * size), b = FloatBuffer(count: size * size), c = FloatBuffer(count: size * size)
    for i in 0..<size * size {
      a.pointer[i] = Float(i % 7) - 3
      b.pointer[i] = Float(i % 5) - 2
    }
    let scratch = ProductScratch()
    return best(of: repetitions) {
      try? product(
        c.pointer, ldc: size, .rows(a.pointer, stride: size), .rows(b.pointer, stride: size), m: size, n: size, k: size,
        kernel: .fastest(precision), scratch: scratch, cancellation: Cancellation())
    } operations: {
      2 * Double(size) * Double(size) * Double(size)
    }
  }

  /// Bytes per second that all compute threads together read from memory far larger than caches.
  package func memoryReadRate(bytes: Int = 512 << 20, repetitions: Int = 3) -> Double {
    let source = FloatBuffer(count: bytes / 4), found = Atomic<Int>(0)
    source.values.initialize(repeating: 1)
    return best(of: repetitions) {
      pool.parallelRanges(source.count, grain: 1 << 20) { range, _ in
        // No byte of 1.0 is 0x55, so the C library's search goes through all of them.
        if memchr(source.pointer + range.lowerBound, 0x55, range.count * 4) != nil {
          found.add(1, ordering: .relaxed)
        }
      }
    } operations: {
      Double(bytes)
    }
  }

  /// Bytes per second that all compute threads together read and write when they copy memory far larger than caches.
  package func memoryRate(bytes: Int = 256 << 20, repetitions: Int = 3) -> Double {
    let count = bytes / 8
    let source = FloatBuffer(count: count), target = FloatBuffer(count: count)
    source.values.initialize(repeating: 1)
    target.values.initialize(repeating: 0)
    return best(of: repetitions) {
      pool.parallelRanges(count, grain: 1 << 20) { range, _ in
        (target.pointer + range.lowerBound).update(from: source.pointer + range.lowerBound, count: range.count)
      }
    } operations: {
      Double(2 * count * MemoryLayout<Float>.stride)
    }
  }

  private func best(of repetitions: Int, _ work: () -> Void, operations: () -> Double) -> Double {
    let clock = ContinuousClock()
    let shortest = (0..<max(1, repetitions)).map { _ in clock.measure(work) }.min() ?? .seconds(1)
    return operations() / (shortest / .seconds(1))
  }
}
