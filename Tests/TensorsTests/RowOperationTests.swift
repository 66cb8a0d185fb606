// Operations on rows of activations against their formulas in double.

import Glibc
import Tensors
import TestSupport
import Testing

/// Memory with these values.
func buffer(_ values: [Float]) -> FloatBuffer {
  let buffer = FloatBuffer(count: values.count)
  _ = buffer.values.initialize(fromContentsOf: values)
  return buffer
}

@Suite struct RowOperationTests {
  static func compute(threads: Int = 2) throws -> Compute { try Compute(pool: ComputePool(threads: threads)) }

  @Test(arguments: [1, 7, 31, 33, 100, 1000], [1, 3, 70])
  func rmsNorm(channels: Int, rows: Int) throws {
    var random = Seeded(UInt64(channels * rows))
    let x = random.floats(rows * channels, scale: 3), weight = random.floats(channels)
    let epsilon: Float = 1e-3
    let expected = (0..<rows).flatMap { row in
      let values = x[row * channels..<(row + 1) * channels].map(Double.init)
      let meanSquare = values.reduce(0) { $0 + $1 * $1 } / Double(channels)
      return zip(values, weight).map { $0 * Double($1) / (meanSquare + Double(epsilon)).squareRoot() }
    }
    let input = buffer(x), out = FloatBuffer(count: x.count)
    let compute = try Self.compute()
    try #require(compute.pool.threads == 2)
    try compute.rmsNormForward(out.pointer, input.pointer, weight: weight, rows: rows, epsilon: epsilon)
    let tolerance = Tolerance(relative: 4e-7)
    let wanted = Numbers(expected, dtype: .f32)
    #expect(difference(Numbers(out.readOnly), wanted, tolerance) == nil, "\(random)")
    try compute.rmsNormForward(input.pointer, input.pointer, weight: weight, rows: rows, epsilon: epsilon)
    #expect(difference(Numbers(input.readOnly), Numbers(out.readOnly)) == nil, "in place, \(random)")
  }

  /// A row of zeros is divided by the root of epsilon alone; a large one does not overflow the sum of squares.
  @Test func rmsNormOfExtremeRows() throws {
    let out = FloatBuffer(count: 80)
    let input = buffer([Float](repeating: 0, count: 40) + [Float](repeating: 1e25, count: 40))
    let weight = [Float](repeating: 2, count: 40)
    try Self.compute().rmsNormForward(
      out.pointer, input.pointer, weight: weight, rows: 2, epsilon: 1e-5)
    let expected = [Double](repeating: 0, count: 40) + [Double](repeating: 2, count: 40)
    #expect(difference(Numbers(out.readOnly), Numbers(expected, dtype: .f32), Tolerance(relative: 1e-6)) == nil)
  }

  static func silu(_ x: Double) -> Double { x / (1 + exp(-x)) }

  @Test(arguments: [1, 7, 31, 33, 100, 40_001])
  func swiGLU(count: Int) throws {
    var random = Seeded(UInt64(count))
    let gate = random.floats(count, scale: 10), up = random.floats(count)
    let expected = zip(gate, up).map { Self.silu(Double($0)) * Double($1) }
    let gates = buffer(gate), ups = buffer(up)
    try Self.compute(threads: 3).swiGLUForward(gates.pointer, ups.pointer, count: count)
    let actual = Numbers(gates.readOnly), wanted = Numbers(expected, dtype: .f32)
    #expect(difference(actual, wanted, Tolerance(absolute: 1e-7, relative: 1e-6)) == nil, "\(random)")
  }

  @Test(arguments: [-1e30, -1e4, -100, -88.5, -87.4, -87.2, -20, -1e-30, 0, 1e-30, 20, 87.2, 88.5, 100, 1e4, 1e30] as [Float])
  func swiGLUOfLargeAndSmallGates(gate: Float) throws {
    let count = 33  // also in the rest behind the vectors
    let gates = buffer([Float](repeating: gate, count: count)), ups = buffer([Float](repeating: 3, count: count))
    try Self.compute().swiGLUForward(gates.pointer, ups.pointer, count: count)
    let expected = [Double](repeating: 3 * Self.silu(Double(gate)), count: count)
    // Beyond e^88 the exponential stays at e^88: what should be 1e-40 or 0 is then below gate * 1e-37.
    let floor = gate < -88 ? Double(-gate) * 1e-37 : 0
    let tolerance = Tolerance(absolute: floor, relative: 1e-6)
    #expect(difference(Numbers(gates.readOnly), Numbers(expected, dtype: .f32), tolerance) == nil)
  }

  @Test func swiGLUCarriesNaN() throws {
    let gates = buffer([.nan, 1]), ups = buffer([1, .nan])
    try Self.compute().swiGLUForward(gates.pointer, ups.pointer, count: 2)
    #expect(gates.readOnly.map(\.isNaN) == [true, true])
  }

  /// Positions start at 0 in every sequence; a head's first half is rotated with its second half.
  @Test(arguments: [(1, 1, 1, 2), (2, 5, 3, 6), (3, 65, 2, 14), (1, 200, 1, 64)], [10_000.0, 777.0])
  func rope(sizes: (sequences: Int, length: Int, heads: Int, headSize: Int), base: Double) throws {
    let (sequences, length, heads, D) = sizes
    var random = Seeded(UInt64(length))
    let x = random.floats(sequences * length * heads * D)
    var expected = x.map(Double.init)
    for row in 0..<sequences * length {
      for head in 0..<heads {
        for i in 0..<D / 2 {
          let angle = Double(row % length) * pow(base, -2 * Double(i) / Double(D))
          let first = (row * heads + head) * D + i, second = first + D / 2
          expected[first] = Double(x[first]) * cos(angle) - Double(x[second]) * sin(angle)
          expected[second] = Double(x[second]) * cos(angle) + Double(x[first]) * sin(angle)
        }
      }
    }
    let rotated = buffer(x)
    let table = RotaryTable(length: length, frequencies: RotaryTable.frequencies(headSize: D, base: base))
    try Self.compute(threads: 3).ropeForward(
      rotated.pointer, table: table, sequences: sequences, length: length, heads: heads)
    // Angles are fp32 on purpose: off by half a unit in the last place of the position.
    let tolerance = Tolerance(absolute: 1e-6 + Double(length) * 6e-7)
    #expect(difference(Numbers(rotated.readOnly), Numbers(expected, dtype: .f32), tolerance) == nil, "\(random)")
  }

  /// Sums in double and in row order, so that they equal the plain loop's to the bit, whatever the threads.
  @Test(arguments: [1, 7, 31, 33, 100, 700], [1, 2, 5])
  func moments(channels: Int, threads: Int) throws {
    var random = Seeded(UInt64(channels))
    let rows = 37
    let x = random.floats(rows * channels, scale: 5)
    var sum = [Double](repeating: 0.5, count: channels), squares = sum, magnitudes = sum
    var expected = (sum, squares, magnitudes)
    for row in 0..<rows {
      for channel in 0..<channels {
        let value = Double(x[row * channels + channel])
        expected.0[channel] += value
        expected.1[channel] += value * value
        expected.2[channel] += abs(value)
      }
    }
    let input = buffer(x)
    try Self.compute(threads: threads).momentsAccumulate(
      sum: &sum, sumOfSquares: &squares, sumOfMagnitudes: &magnitudes, input.pointer, rows: rows, columns: channels)
    #expect(sum == expected.0 && squares == expected.1 && magnitudes == expected.2, "\(random)")
  }
}
