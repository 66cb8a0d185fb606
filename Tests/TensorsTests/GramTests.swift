// Gram matrices against plain loops in double, on odd sizes.

import Tensors
import TestSupport
import Testing

@Suite struct GramTests {
  /// The sum over rows of z xᵀ.
  static func naive(_ z: [Float], _ x: [Float], rows: Int, columns: Int) -> [Double] {
    var sums = [Double](repeating: 0, count: columns * columns)
    sums.withUnsafeMutableBufferPointer { sums in
      z.withUnsafeBufferPointer { z in
        x.withUnsafeBufferPointer { x in
          for row in 0..<rows {
            for i in 0..<columns {
              let left = Double(z[row * columns + i])
              for j in 0..<columns { sums[i * columns + j] += left * Double(x[row * columns + j]) }
            }
          }
        }
      }
    }
    return sums
  }

  static func filled(_ values: [Float]) -> FloatBuffer {
    let buffer = FloatBuffer(count: values.count)
    _ = buffer.values.initialize(fromContentsOf: values)
    return buffer
  }

  static let shapes = [(1, 1), (3, 1), (1, 7), (5, 31), (70, 127), (33, 128), (40, 129), (64, 300), (9, 1100)]

  @Test(arguments: shapes, [1, 3])
  func sumsOverTwoCalls(shape: (rows: Int, columns: Int), threads: Int) throws {
    let (N, n) = shape
    var random = Seeded(UInt64(N * 1000 + n))
    let compute = try Compute(pool: ComputePool(threads: threads))
    let x = [random.floats(N * n), random.floats(N * n)], z = [random.floats(N * n), random.floats(N * n)]
    let gram = try #require(GramTotal(columns: n))
    let cross = try #require(GramTotal(columns: n, isSymmetric: false))
    var expected = [Double](repeating: 0, count: n * n), expectedCross = expected
    for call in 0..<2 {
      let (a, b) = (Self.filled(z[call]), Self.filled(x[call]))
      compute.gramAccumulate(gram, b.pointer, rows: N)
      compute.gramAccumulate(cross, a.pointer, b.pointer, rows: N)
      expected = zip(expected, Self.naive(x[call], x[call], rows: N, columns: n)).map(+)
      expectedCross = zip(expectedCross, Self.naive(z[call], x[call], rows: N, columns: n)).map(+)
    }
    let tolerance = Tolerance(absolute: 4e-6 * Double(N).squareRoot(), relative: 1e-6)
    let products = compute.gramFinish(gram)
    #expect(difference(Numbers(products.readOnly), Numbers(expected, dtype: .f32), tolerance) == nil, "\(random)")
    let crossed = compute.gramFinish(cross)
    #expect(difference(Numbers(crossed.readOnly), Numbers(expectedCross, dtype: .f32), tolerance) == nil, "\(random)")
    let isSymmetric = (0..<n).allSatisfy { i in
      (0..<i).allSatisfy { products.pointer[i * n + $0].bitPattern == products.pointer[$0 * n + i].bitPattern }
    }
    #expect(isSymmetric)
    #expect(n == 1 || difference(Numbers(products.readOnly), Numbers(expectedCross, dtype: .f32), tolerance) != nil)
  }

  /// The same bits for any number of threads.
  @Test func threadsDoNotMatter() throws {
    var random = Seeded(5)
    let N = 130, n = 517, x = Self.filled(random.floats(N * n)), z = Self.filled(random.floats(N * n))
    var seen: Set<[UInt32]> = []
    for threads in [1, 2, 5] {
      let compute = try Compute(pool: ComputePool(threads: threads))
      let gram = try #require(GramTotal(columns: n))
      let cross = try #require(GramTotal(columns: n, isSymmetric: false))
      compute.gramAccumulate(gram, x.pointer, rows: N)
      compute.gramAccumulate(cross, z.pointer, x.pointer, rows: N)
      let products = compute.gramFinish(gram), crossed = compute.gramFinish(cross)
      seen.insert(withExtendedLifetime((products, crossed)) {
        products.readOnly.map(\.bitPattern) + crossed.readOnly.map(\.bitPattern)
      })
    }
    #expect(seen.count == 1)
  }

  /// Totals are in double: many small sums after a large one are not lost. (2^24 + 25, to even)
  @Test func totalsKeepSmallSums() throws {
    let compute = try Compute(pool: ComputePool(threads: 2)), gram = try #require(GramTotal(columns: 2))
    let large = Self.filled([4096, 4096]), small = Self.filled([0.5, 0.5])
    compute.gramAccumulate(gram, large.pointer, rows: 1)
    for _ in 0..<100 { compute.gramAccumulate(gram, small.pointer, rows: 1) }
    let products = compute.gramFinish(gram)
    #expect((0..<4).allSatisfy { products.pointer[$0] == 16_777_240 })
    withExtendedLifetime((large, small, products)) {}
  }

  /// What is asked for beforehand is what is taken, and what there cannot be is refused, not died of.
  @Test func memoryIsCounted() {
    #expect(GramTotal.bytes(columns: 5, isSymmetric: false) == 8 * 25)
    #expect(GramTotal.bytes(columns: 5, isSymmetric: true) == 8 * 25, "one block")
    #expect(GramTotal.bytes(columns: 300, isSymmetric: true) == 8 * (128 * 300 + 128 * 172 + 44 * 44))
    for isSymmetric in [true, false] { #expect(GramTotal(columns: 1 << 25, isSymmetric: isSymmetric) == nil) }
  }
}
