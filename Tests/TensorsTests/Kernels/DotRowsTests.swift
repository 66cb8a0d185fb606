// The products of decoding, weights as they are stored, against plain sums in double.

import CKernels
import TestSupport
import Testing

@Suite struct DotRowsTests {
  /// Bits of fp16 and bf16 and what they mean, from finite patterns, subnormals among them.
  static func half(_ random: inout Seeded) -> (bits: UInt16, value: Double) {
    let sign: UInt16 = random.next() % 2 == 0 ? 0 : 0x8000, exponent = random.int(in: 0...18)
    let fraction = random.int(in: 0...1023)
    let magnitude =
      exponent == 0 ? Double(fraction) * 0x1p-24 : Double(1024 + fraction) * pow2(exponent - 25)
    return (sign | UInt16(exponent << 10 | fraction), sign == 0 ? magnitude : -magnitude)
  }

  static func pow2(_ exponent: Int) -> Double { Double(sign: .plus, exponent: exponent, significand: 1) }

  /// out = x wᵀ by plain sums, and the sum of magnitudes that bounds its rounding.
  static func product(
    _ w: [Double], _ x: [Float], rows: Int, columns: Int, N: Int
  ) -> (sums: [Double], bounds: [Double]) {
    var sums: [Double] = [], bounds: [Double] = []
    for n in 0..<N {
      for r in 0..<rows {
        let terms = (0..<columns).map { w[r * columns + $0] * Double(x[n * columns + $0]) }
        sums.append(terms.reduce(0, +))
        bounds.append(terms.reduce(0) { $0 + abs($1) })
      }
    }
    return (sums, bounds)
  }

  @Test(arguments: [(1, 1), (3, 7), (4, 31), (5, 33), (9, 65), (13, 577)], [1, 2, 3, 4, 5, 7, 16])
  func agreesWithPlainSums(sizes: (rows: Int, columns: Int), N: Int) {
    let (rows, columns) = sizes
    var random = Seeded(UInt64(columns * 100 + N))
    let x = random.floats(N * columns), xs = Strip(x)
    let floats = random.floats(rows * columns), halves = (0..<rows * columns).map { _ in Self.half(&random) }
    let brains = floats.map { UInt16(truncatingIfNeeded: $0.bitPattern >> 16) }
    let f32 = Strip(floats), f16 = Strip(halves.map(\.bits), sentinel: 77), bf16 = Strip(brains, sentinel: 77)
    let out = Strip([Float](repeating: 0, count: N * rows))
    defer { withExtendedLifetime((xs, f32, f16, bf16, out)) {} }
    func check(_ weights: [Double], _ type: String) {
      let (sums, bounds) = Self.product(weights, x, rows: rows, columns: columns, N: N)
      #expect(out.values.count == sums.count)
      for (i, value) in out.values.enumerated() {
        #expect(abs(Double(value) - sums[i]) <= 1e-6 * bounds[i], "\(type) \(i), \(random)")
      }
    }
    ck_dot_rows_f32(out.pointer, rows, f32.pointer, columns, rows, columns, xs.pointer, columns, N)
    check(floats.map(Double.init), "f32")
    ck_dot_rows_f16(out.pointer, rows, f16.pointer, columns, rows, columns, xs.pointer, columns, N)
    check(halves.map(\.value), "f16")
    ck_dot_rows_bf16(out.pointer, rows, bf16.pointer, columns, rows, columns, xs.pointer, columns, N)
    check(brains.map { Double(Float(bitPattern: UInt32($0) << 16)) }, "bf16")
  }

  /// What is computed together must not matter: each vector and each row by itself gives the same bits.
  @Test func togetherAndAloneGiveTheSameBits() {
    let (rows, columns, N) = (7, 100, 6)
    var random = Seeded(9)
    let x = random.floats(N * columns), w = random.floats(rows * columns)
    var together = [Float](repeating: 0, count: N * rows)
    ck_dot_rows_f32(&together, rows, w, columns, rows, columns, x, columns, N)
    for n in 0..<N {
      for r in 0..<rows {
        var alone: Float = 0
        let row = Array(w[(r * columns)...]), vector = Array(x[(n * columns)...])
        ck_dot_rows_f32(&alone, 1, row, columns, 1, columns, vector, columns, 1)
        #expect(alone == together[n * rows + r])
      }
    }
  }

  /// Infinities and NaN of the stored types arrive.
  @Test func specialValues() {
    let w: [UInt16] = [0x7c00, 0xfc00, 0x7e01, 0x0001], x: [Float] = [1]
    var out = [Float](repeating: 0, count: 4)
    ck_dot_rows_f16(&out, 4, w, 1, 4, 1, x, 1, 1)
    #expect(out[0] == .infinity && out[1] == -.infinity && out[2].isNaN && out[3] == 0x1p-24)
    ck_dot_rows_bf16(&out, 4, [0x7f80, 0xff80, 0x7fc0, 0x3f80], 1, 4, 1, x, 1, 1)
    #expect(out[0] == .infinity && out[1] == -.infinity && out[2].isNaN && out[3] == 1)
  }

  /// Only the N leading columns of wider rows are read and written.
  @Test func stridesOfAllThree() {
    var out: [Float] = [9, 9, 9, 9, 9, 9]
    let w: [Float] = [1, 2, 99, 3, 4, 99], x: [Float] = [10, 1, 77, 77, 20, 2, 77, 77]
    ck_dot_rows_f32(&out, 3, w, 3, 2, 2, x, 4, 2)
    #expect(out == [12, 34, 9, 24, 68, 9])
  }

  @Test(arguments: [1, 7, 16, 31, 64, 65, 128, 200], [0, 1, 5, 77])
  func weightedRows(D: Int, T: Int) {
    var random = Seeded(UInt64(D + T))
    let stride = D + 3, p = random.floats(T), v = random.floats(T * stride), vs = Strip(v)
    let out = Strip([Float](repeating: 5, count: D))
    defer { withExtendedLifetime((vs, out)) {} }
    ck_weighted_rows(out.pointer, p, vs.pointer, stride, T, D)
    #expect(out.values.count == D)
    for (d, value) in out.values.enumerated() {
      let terms = (0..<T).map { Double(p[$0]) * Double(v[$0 * stride + d]) }
      #expect(abs(Double(value) - terms.reduce(0, +)) <= 1e-6 * terms.reduce(0) { $0 + abs($1) }, "\(random)")
    }
  }
}
