// Espalier's own matrix product, every variant that this processor runs, against sums in double.

import Tensors
import TestSupport
import Testing

/// Layouts of an operand [rows, k] in memory: what its strides are.
enum Layout: CaseIterable {
  case rows, transposed, scattered

  func strides(rows: Int, k: Int) -> (row: Int, column: Int) {
    switch self {
    case .rows: (k + 3, 1)
    case .transposed: (1, rows + 2)
    case .scattered: (3 * k + 2, 3)
    }
  }
}

/// A matrix [rows, k] with random values, and where it lies. All that lies between is NaN.
struct TestOperand {
  let memory: FloatBuffer
  let rows: Int, k: Int
  let strides: (row: Int, column: Int)

  init(_ values: [Float], rows: Int, k: Int, _ layout: Layout) {
    self.rows = rows
    self.k = k
    strides = layout.strides(rows: rows, k: k)
    memory = FloatBuffer(count: max(0, rows - 1) * strides.row + max(0, k - 1) * strides.column + 1)
    memory.values.update(repeating: .nan)
    for i in 0..<rows {
      for p in 0..<k { memory.pointer[i * strides.row + p * strides.column] = values[i * k + p] }
    }
  }

  var operand: MatrixOperand {
    MatrixOperand(memory.pointer, rowStride: strides.row, columnStride: strides.column)
  }
}

/// Rounds to bf16 as IEEE 754 would: nearest, ties to even. By arithmetic, not by the bits that kernels use.
func roundedToBF16(_ x: Float) -> Float {
  guard x.isFinite, x != 0 else { return x }
  let unit = Float(sign: .plus, exponent: x.exponent - 7, significand: 1)
  return (x / unit).rounded(.toNearestOrEven) * unit
}

/// a[m, k] · b[n, k]ᵀ + start, in double.
func productInDouble(_ a: [Float], _ b: [Float], _ start: [Float], m: Int, n: Int, k: Int) -> [Double] {
  LinearTests.product(a, b, start, N: m, O: n, I: k)
}

@Suite struct PackedProductTests {
  static let kernels = Precision.allCases.flatMap(ProductKernel.available)

  /// The product as [m, n], computed with rows that are `gap` floats longer, which must stay what they were.
  static func product(
    _ a: TestOperand, _ b: TestOperand, start: [Float]? = nil, gap: Int = 0, kernel: ProductKernel, threads: Int = 3
  ) throws -> [Float] {
    let m = a.rows, n = b.rows, ldc = n + gap
    let c = buffer([Float](repeating: start == nil ? .nan : -77, count: m * ldc))
    if let start { for i in 0..<m * n { c.pointer[i / n * ldc + i % n] = start[i] } }
    let outside = c.pointer[max(0, m * ldc - 1)]
    try RowOperationTests.compute(threads: threads).product(
      c.pointer, ldc: ldc, a.operand, b.operand, m: m, n: n, k: a.k, accumulate: start != nil, kernel: kernel,
      scratch: ProductScratch(), cancellation: Cancellation())
    if gap > 0 {
      for i in 0..<m {
        for j in n..<ldc where c.pointer[i * ldc + j].bitPattern != outside.bitPattern {
          Issue.record("\(kernel.name) wrote outside of C, at row \(i), column \(j)")
        }
      }
    }
    return (0..<m * n).map { c.pointer[$0 / n * ldc + $0 % n] }
  }

  static let sizes = [1, 2, 7, 13, 15, 17, 29, 33, 64, 65, 129, 577]

  /// Every fifth combination of odd sizes that stays small, and some larger.
  static let cases: [(m: Int, n: Int, k: Int)] = {
    var small: [(m: Int, n: Int, k: Int)] = []
    for m in sizes { for n in sizes { for k in sizes where m * n * k < 40_000 { small.append((m, n, k)) } } }
    let some = stride(from: 0, to: small.count, by: 5).map { small[$0] }
    return some + [(577, 33, 17), (17, 577, 33), (33, 17, 577), (129, 65, 64)]
  }()

  @Test(arguments: kernels.indices, Layout.allCases)
  func everyShape(index: Int, layout: Layout) throws {
    let kernel = Self.kernels[index]
    for (place, (m, n, k)) in Self.cases.enumerated() {
      var random = Seeded(UInt64(m * 31 + n * 7 + k))
      let round = kernel.precision == .bf16 ? roundedToBF16 : { $0 }
      let a = random.floats(m * k).map(round), b = random.floats(n * k).map(round), start = random.floats(m * n)
      let other = Layout.allCases[place % 3]
      let left = TestOperand(a, rows: m, k: k, layout), right = TestOperand(b, rows: n, k: k, other)
      let tolerance = Tolerance(absolute: 2e-6 * Double(k).squareRoot(), relative: 1e-6)
      let accumulating = place % 2 == 1
      let actual = try Self.product(
        left, right, start: accumulating ? start : nil, gap: place % 3, kernel: kernel, threads: 1 + place % 3)
      let zeros = [Float](repeating: 0, count: m * n)
      let expected = productInDouble(a, b, accumulating ? start : zeros, m: m, n: n, k: k)
      let wrong = difference(
        Numbers(actual, shape: [m, n]), Numbers(expected, dtype: .f32, shape: [m, n]), tolerance)
      #expect(wrong == nil, "\(kernel.precision) \(kernel.name), k \(k), \(layout) by \(other), \(random)")
    }
  }

  /// What is packed already is taken as it is, unless it had been packed in parts.
  @Test(arguments: kernels.indices, [(33, 65), (4200, 1153)])
  func theLeftOperandIsPackedOnce(index: Int, size: (m: Int, k: Int)) throws {
    let kernel = Self.kernels[index], (m, k) = size, n = 3
    let isOnePart = m * k < 1 << 21
    let lefts = [0.5, -3].map { TestOperand([Float](repeating: $0, count: m * k), rows: m, k: k, .rows) }
    let right = TestOperand([Float](repeating: 1, count: n * k), rows: n, k: k, .rows), scratch = ProductScratch()
    func product(_ left: TestOperand, asBefore: Bool) throws -> [UInt32] {
      let c = FloatBuffer(count: m * n)
      try RowOperationTests.compute(threads: 2).product(
        c.pointer, ldc: n, left.operand, right.operand, m: m, n: n, k: k, leftIsAsBefore: asBefore, kernel: kernel,
        scratch: scratch, cancellation: Cancellation())
      return c.values.map(\.bitPattern)
    }
    let first = try product(lefts[0], asBefore: false)
    #expect(try product(lefts[0], asBefore: true) == first, "\(kernel.name)")
    let second = try product(lefts[1], asBefore: true)
    #expect((second == first) == isOnePart, "\(kernel.name) packs again what it has")
    #expect(try product(lefts[1], asBefore: false) != first, "\(kernel.name)")
  }

  /// Against inputs that are not rounded: |error| <= sum |a||b| (2^-8 + k 2^-24), for each factor is off by at most
  /// 2^-9 of itself.
  @Test(arguments: kernels.indices.filter { kernels[$0].precision == .bf16 })
  func roundingStaysInBounds(index: Int) throws {
    let kernel = Self.kernels[index], (m, n, k) = (29, 65, 200)
    var random = Seeded(8)
    let a = random.floats(m * k), b = random.floats(n * k), zeros = [Float](repeating: 0, count: m * n)
    let actual = try Self.product(
      TestOperand(a, rows: m, k: k, .rows), TestOperand(b, rows: n, k: k, .transposed), kernel: kernel)
    let exact = productInDouble(a, b, zeros, m: m, n: n, k: k)
    let sizes = productInDouble(a.map(abs), b.map(abs), zeros, m: m, n: n, k: k)
    // In units of the bound every error is at most 1.
    let bound = 0x1p-8 * 1.002 + Double(k) * 0x1p-24
    let errors = actual.indices.map { (Double(actual[$0]) - exact[$0]) / (sizes[$0] * bound) }
    let none = Numbers([Double](repeating: 0, count: errors.count))
    #expect(difference(Numbers(errors), none, Tolerance(absolute: 1)) == nil, "\(kernel.name) \(random)")
    #expect(difference(Numbers(errors), none, Tolerance(absolute: 1e-3)) != nil, "\(kernel.name) rounds nothing")
  }

  /// One element times one: the rounding itself, halfway cases to even among them.
  @Test(arguments: kernels.indices)
  func rounding(index: Int) throws {
    let kernel = Self.kernels[index]
    let inputs: [Float] = [
      1, 1 + 0x1p-8, 1 + 3 * 0x1p-8, 1 + 0x1.01p-8, -1 - 0x1p-8, 0x1.fffffep0, 3.14159, -2.71828e-20, 1e30, 0, -0.0,
      .leastNormalMagnitude, -0x1.8p-126,
    ]
    let a = TestOperand(inputs, rows: inputs.count, k: 1, .rows), one = TestOperand([1], rows: 1, k: 1, .rows)
    let expected = kernel.precision == .bf16 ? inputs.map(roundedToBF16) : inputs
    #expect(try Self.product(a, one, kernel: kernel) == expected, "\(kernel.name)")
    #expect(try Self.product(one, a, kernel: kernel) == expected, "\(kernel.name)")
    #expect(roundedToBF16(1 + 0x1p-8) == 1 && roundedToBF16(1 + 0x1.01p-8) == 1 + 0x1p-7)
    #expect(roundedToBF16(1 + 0x1.8p-7) == 1 + 0x1p-6, "halfway goes to the even neighbour")
  }

  /// bf16 has no denormals here: every variant takes them for zeros.
  @Test(arguments: kernels.indices.filter { kernels[$0].precision == .bf16 })
  func denormalsAreZeros(index: Int) throws {
    let kernel = Self.kernels[index]
    let inputs: [Float] = [.leastNonzeroMagnitude, -0x1p-127, Float.leastNormalMagnitude.nextDown]
    let a = TestOperand(inputs, rows: 3, k: 1, .rows), large = TestOperand([0x1p100], rows: 1, k: 1, .rows)
    #expect(try Self.product(a, large, kernel: kernel) == [0, 0, 0], "\(kernel.name)")
  }

  /// NaN and infinities reach the sums that they are part of and no others.
  @Test(arguments: kernels.indices, Layout.allCases)
  func nonFiniteValues(index: Int, layout: Layout) throws {
    let kernel = Self.kernels[index], (m, n, k) = (20, 40, 37)
    var a = [Float](repeating: 1, count: m * k), b = [Float](repeating: 1, count: n * k)
    a[3 * k + 5] = .infinity
    a[4 * k + 36] = .nan
    a[18 * k] = -.infinity
    a[19 * k + 7] = Float(bitPattern: 0x7f80_0001)  // a NaN whose upper half is that of infinity
    b[35 * k + 9] = .nan
    b[36 * k + 5] = 0  // infinity times zero
    b[37 * k + 9] = -.infinity
    let c = try Self.product(
      TestOperand(a, rows: m, k: k, layout), TestOperand(b, rows: n, k: k, layout), kernel: kernel)
    for i in 0..<m {
      for j in 0..<n {
        let value = c[i * n + j]
        let agrees =
          switch (i, j) {
          case (4, _), (19, _), (_, 35), (3, 36), (3, 37): value.isNaN
          case (3, _): value == .infinity
          case (18, _), (_, 37): value == -.infinity
          case (_, 36): value == 36
          default: value == 37
          }
        #expect(agrees, "\(kernel.name): \(value) at row \(i), column \(j)")
      }
    }
  }

  @Test(arguments: Precision.allCases)
  func variantsAgreeWithThePlainOne(precision: Precision) throws {
    let kernels = ProductKernel.available(precision), (m, n, k) = (45, 100, 333)
    let plain = try #require(kernels.last)
    #expect(plain.name == "plain")
    #expect(ProductKernel.fastest(precision).name == kernels[0].name)
    if precision == .bf16 { #expect(ProductKernel.hasFastBF16 == (kernels[0].name == "avx512-bf16")) }
    print("Espalier's \(precision) products ran as \(kernels.map(\.name).joined(separator: ", "))")
    var random = Seeded(21)
    let a = TestOperand(random.floats(m * k), rows: m, k: k, .rows)
    let b = TestOperand(random.floats(n * k), rows: n, k: k, .transposed)
    let expected = Numbers(try Self.product(a, b, kernel: plain))
    for kernel in kernels.dropLast() {
      let actual = Numbers(try Self.product(a, b, kernel: kernel))
      #expect(difference(actual, expected, Tolerance(absolute: 4e-5, relative: 1e-6)) == nil, "\(kernel.name)")
    }
  }

  /// How the work is divided does not change a bit.
  @Test(arguments: kernels.indices)
  func threadsDoNotMatter(index: Int) throws {
    let kernel = Self.kernels[index], (m, n, k) = (150, 300, 210)
    var random = Seeded(33)
    let a = TestOperand(random.floats(m * k), rows: m, k: k, .rows)
    let b = TestOperand(random.floats(n * k), rows: n, k: k, .rows)
    let expected = try Self.product(a, b, kernel: kernel, threads: 1).map(\.bitPattern)
    for threads in [2, 3, 8] {
      #expect(try Self.product(a, b, kernel: kernel, threads: threads).map(\.bitPattern) == expected)
    }
  }

  /// Operands so large that they are packed in parts, of whole numbers whose sums are exact: u[i] w[p] by v[j] w[p].
  @Test(arguments: Precision.allCases, [(1400, 1400, 3100), (3, 1400, 3100), (1400, 5, 3100), (1, 40, 20000)])
  func partsOfLargeOperands(precision: Precision, shape: (m: Int, n: Int, k: Int)) throws {
    let (m, n, k) = shape
    func value(_ i: Int, _ p: Int, _ modulus: Int) -> Float { Float((i % modulus - 2) * (p % 3 - 1)) }
    func operand(_ rows: Int, _ modulus: Int) -> FloatBuffer {
      let memory = FloatBuffer(count: rows * k)
      for i in 0..<min(rows, modulus) { for p in 0..<k { memory.pointer[i * k + p] = value(i, p, modulus) } }
      for i in stride(from: modulus, to: rows, by: 1) {
        (memory.pointer + i * k).update(from: memory.pointer + i % modulus * k, count: k)
      }
      return memory
    }
    let a = operand(m, 5), b = operand(n, 7), c = buffer([Float](repeating: 3, count: m * n))
    try RowOperationTests.compute(threads: 2).product(
      c.pointer, ldc: n, .rows(a.pointer, stride: k), .rows(b.pointer, stride: k), m: m, n: n, k: k, accumulate: true,
      kernel: .fastest(precision), scratch: ProductScratch(), cancellation: Cancellation())
    let squares = (0..<k).reduce(0) { $0 + ($1 % 3 - 1) * ($1 % 3 - 1) }
    var wrong = 0
    for i in 0..<m {
      for j in 0..<n where c.pointer[i * n + j] != Float(3 + (i % 5 - 2) * (j % 7 - 2) * squares) { wrong += 1 }
    }
    #expect(wrong == 0)
  }

  /// Nothing to sum gives zero, or leaves what was there; no rows or columns give nothing.
  @Test(arguments: kernels.indices)
  func emptySums(index: Int) throws {
    let kernel = Self.kernels[index]
    let a = TestOperand([], rows: 2, k: 0, .rows), b = TestOperand([], rows: 3, k: 0, .rows)
    #expect(try Self.product(a, b, kernel: kernel) == [Float](repeating: 0, count: 6))
    #expect(try Self.product(a, b, start: [1, 2, 3, 4, 5, 6], kernel: kernel) == [1, 2, 3, 4, 5, 6])
    #expect(try Self.product(a, TestOperand([], rows: 0, k: 0, .rows), kernel: kernel) == [])
  }

  @Test func cancelledProductsThrow() throws {
    let compute = try RowOperationTests.compute(), memory = buffer([1, 2, 3, 4]), cancellation = Cancellation()
    cancellation.cancel()
    #expect(throws: Cancelled.self) {
      try compute.product(
        memory.pointer, ldc: 1, .rows(memory.pointer, stride: 1), .rows(memory.pointer, stride: 1), m: 1, n: 1, k: 1,
        kernel: .fastest(.bf16), scratch: ProductScratch(), cancellation: cancellation)
    }
  }

  /// The comparison above must fail on a product that is wrong in one place, or of operands in the wrong order.
  @Test func wrongProductsAreFound() throws {
    let kernel = ProductKernel.fastest(.bf16), (m, n, k) = (15, 15, 33)
    var random = Seeded(2)
    let a = random.floats(m * k).map(roundedToBF16), b = random.floats(n * k).map(roundedToBF16)
    let left = TestOperand(a, rows: m, k: k, .rows), right = TestOperand(b, rows: n, k: k, .rows)
    let expected = Numbers(
      productInDouble(a, b, [Float](repeating: 0, count: m * n), m: m, n: n, k: k), dtype: .f32)
    let tolerance = Tolerance(absolute: 2e-6 * Double(k).squareRoot(), relative: 1e-6)
    var actual = try Self.product(left, right, kernel: kernel)
    #expect(difference(Numbers(actual), expected, tolerance) == nil)
    #expect(difference(Numbers(try Self.product(right, left, kernel: kernel)), expected, tolerance) != nil)
    actual[224] += 1e-4
    #expect(difference(Numbers(actual), expected, tolerance) != nil)
  }
}

@Suite struct PackedWeightsTests {
  /// Packed weights give the bits of the same weights laid out as fp32: masked, stored as bf16 or in GGUF's order of
  /// rows, transposed or not.
  @Test(arguments: PackedProductTests.kernels.indices, [(24, 40), (66, 33), (7, 129), (96, 17)])
  func storageDoesNotMatter(index: Int, shape: (O: Int, I: Int)) throws {
    let kernel = PackedProductTests.kernels[index], (O, I) = shape
    var random = Seeded(UInt64(O))
    let compute = try RowOperationTests.compute(threads: 3)
    let patterns = (0..<O * I).map { _ in UInt16(truncatingIfNeeded: random.next()) & 0xbfff }  // below 2 in magnitude
    let order: RowOrder = O % 6 == 0 ? .headInterleaved(heads: 3) : .stored
    let view = try #require(
      TensorView(guarding: ConversionTests.bytes(patterns), dtype: .bf16, shape: [O, I], offset: 1, rowOrder: order))
    let stored = MaskedTensor(weights: view, mask: try MaskedTensorTests.mask(O, I, &random))
    let plain = buffer(MaskedTensorTests.read(stored))
    #expect(plain.readOnly.filter { $0 == 0 }.count > O * I / 3, "about half are pruned")
    let floats = MaskedTensor(
      weights: try #require(TensorView(guarding: MaskedTensorTests.read(stored), shape: [O, I])))

    for transposed in [false, true] {
      let n = transposed ? I : O, k = transposed ? O : I
      for m in [1, 5, 31] {
        let x = buffer(random.floats(m * k)), scratch = ProductScratch()
        let right: MatrixOperand = transposed ? .transposed(plain.pointer, stride: I) : .rows(plain.pointer, stride: I)
        let expected = FloatBuffer(count: m * n)
        try compute.product(
          expected.pointer, ldc: n, .rows(x.pointer, stride: k), right, m: m, n: n, k: k, kernel: kernel,
          scratch: scratch, cancellation: Cancellation())
        for weights in [stored, floats] {
          let packed = PackedWeights(weights, transposed: transposed, kernel: kernel, pool: compute.pool)
          #expect(packed.n == n && packed.k == k && packed.bytes >= 2 * n * k)
          let actual = FloatBuffer(count: m * n)
          try compute.product(
            actual.pointer, ldc: n, .rows(x.pointer, stride: k), packed, m: m, scratch: scratch,
            cancellation: Cancellation())
          #expect(Array(actual.readOnly) == Array(expected.readOnly), "\(kernel.name) \(transposed) \(m) \(random)")
        }
      }
    }
  }

  /// Sums longer than are taken at once begin in the middle of packed weights.
  @Test(arguments: Precision.allCases)
  func longSums(precision: Precision) throws {
    let O = 35, I = 9001, m = 3
    var random = Seeded(5)
    let compute = try RowOperationTests.compute(threads: 2), kernel = ProductKernel.fastest(precision)
    let w = random.floats(O * I), x = buffer(random.floats(m * I)), values = buffer(w)
    let weights = MaskedTensor(weights: try #require(TensorView(guarding: w, shape: [O, I])))
    let expected = FloatBuffer(count: m * O), actual = FloatBuffer(count: m * O)
    try compute.product(
      expected.pointer, ldc: O, .rows(x.pointer, stride: I), .rows(values.pointer, stride: I), m: m, n: O, k: I,
      kernel: kernel, scratch: ProductScratch(), cancellation: Cancellation())
    try compute.product(
      actual.pointer, ldc: O, .rows(x.pointer, stride: I),
      PackedWeights(weights, kernel: kernel, pool: compute.pool), m: m, scratch: ProductScratch(),
      cancellation: Cancellation())
    #expect(Array(actual.readOnly) == Array(expected.readOnly), "\(random)")
  }
}
