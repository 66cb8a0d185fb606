// Quadratic forms of rows against plain loops in double, and the same bits whatever the threads.

import Tensors
import TestSupport
import Testing

@Suite struct QuadraticFormTests {
  @Test(arguments: [(1, 1), (3, 7), (300, 33), (257, 64), (20, 200)])
  func plainLoops(rows: Int, n: Int) throws {
    var random = Seeded(UInt64(rows * n))
    let a = random.floats(rows * n), half = random.floats(n * n)
    var g = half
    for row in 0..<n {
      for column in 0..<n { g[row * n + column] = (half[row * n + column] + half[column * n + row]) / 2 }
    }
    let expected = (0..<rows).map { r in
      (0..<n).reduce(0.0) { sum, i in
        sum + Double(a[r * n + i]) * (0..<n).reduce(0.0) { $0 + Double(g[i * n + $1]) * Double(a[r * n + $1]) }
      }
    }
    var results: [[Double]] = []
    for threads in [1, 2, 5] {
      results.append(
        try RowOperationTests.compute(threads: threads).quadraticForms(
          a, g, rows: rows, n: n, cancellation: Cancellation()))
    }
    let tolerance = Tolerance(absolute: 1e-5 * Double(n), relative: 1e-5)
    #expect(difference(Numbers(results[0]), Numbers(expected), tolerance) == nil, "\(random)")
    #expect(results[0] == results[1] && results[0] == results[2], "the same bits")
  }

  @Test func rowProducts() throws {
    let compute = try RowOperationTests.compute(threads: 2)
    #expect(compute.rowProducts([1, 2, 3, 4], [10, 0.5], rows: 2) == [11, 32])
    var a: [Float] = [1, 2, 3]
    compute.subtract(&a, [0.5, 2, -1], count: 3)
    #expect(a == [0.5, 0, 4])
  }
}
