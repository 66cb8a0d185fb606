// Reading weights: masks, GGUF's row order, what may be used in place, and rows in their stored type.

import Tensors
import TestSupport
import Testing

@Suite struct MaskedTensorTests {
  static let pool = ComputePool(threads: 3)

  static func mask(_ rows: Int, _ columns: Int, _ random: inout Seeded) throws -> MaskBits {
    let bytes = (0..<rows * MaskBits.rowBytes(columns: columns)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    return try #require(MaskBits(rows: rows, columns: columns, bytes: bytes))
  }

  static func read(_ tensor: MaskedTensor, rows: Range<Int>? = nil) -> [Float] {
    let rows = rows ?? 0..<tensor.rows
    let out = FloatBuffer(count: rows.count * tensor.columns)
    tensor.read(rows: rows, into: out.pointer, pool: pool)
    return Array(out.readOnly)
  }

  @Test(arguments: [1, 7, 8, 31, 32, 33, 64, 100, 259])
  func prunedWeightsReadAsZero(columns: Int) throws {
    var random = Seeded(UInt64(columns))
    let rows = 5
    let values = random.floats(rows * columns)
    let mask = try Self.mask(rows, columns, &random)
    let tensor = MaskedTensor(weights: try #require(TensorView(guarding: values, shape: [rows, columns])), mask: mask)
    let expected = values.indices.map { index in
      let kept = mask.bytes[index / columns * mask.rowBytes + index % columns / 8] >> (index % columns % 8) & 1 == 1
      return kept ? values[index] : 0
    }
    #expect(Self.read(tensor) == expected, "\(random)")
    #expect(Self.read(tensor, rows: 2..<4) == Array(expected[2 * columns..<4 * columns]), "\(random)")
    let bytes = tensor.storedBytes(rows: 1..<5)
    #expect(bytes == expected[columns...].withUnsafeBytes(Array.init), "\(random)")
  }

  /// NaN and infinity are weights like others until they are pruned.
  @Test func pruningRemovesNonFiniteWeights() throws {
    let values: [Float] = [.nan, .infinity, -.infinity, 1]
    let view = try #require(TensorView(guarding: values, shape: [1, 4]))
    let none = try #require(MaskBits(rows: 1, columns: 4, bytes: [0b1000]))
    #expect(Self.read(MaskedTensor(weights: view, mask: none)) == [0, 0, 0, 1])
  }

  /// Row h*D + i + j*D/2 lies at h*D + 2*i + j.
  @Test(arguments: [(1, 2), (3, 8), (5, 14)])
  func headInterleavedRows(heads: Int, size: Int) throws {
    var random = Seeded(UInt64(heads))
    let columns = 9, rows = heads * size
    let values = random.floats(rows * columns)
    var stored = values
    for head in 0..<heads {
      for i in 0..<size / 2 {
        for j in 0..<2 {
          let from = (head * size + i + j * size / 2) * columns, to = (head * size + 2 * i + j) * columns
          for column in 0..<columns { stored[to + column] = values[from + column] }
        }
      }
    }
    let order = RowOrder.headInterleaved(heads: heads)
    let view = try #require(TensorView(guarding: stored, shape: [rows, columns], rowOrder: order))
    let mask = try Self.mask(rows, columns, &random)
    let inOrder = try #require(TensorView(guarding: values, shape: [rows, columns]))
    #expect(Self.read(MaskedTensor(weights: view)) == values, "\(random)")
    #expect(
      Self.read(MaskedTensor(weights: view, mask: mask)) == Self.read(MaskedTensor(weights: inOrder, mask: mask)),
      "the mask counts rows in order, \(random)")
    #expect(
      MaskedTensor(weights: view, mask: mask).storedBytes(rows: 0..<rows)
        == MaskedTensor(weights: inOrder, mask: mask).storedBytes(rows: 0..<rows), "\(random)")
    #expect(MaskedTensor(weights: view).inPlace == nil)
  }

  @Test func rowOrderMustFitTheRows() {
    let values = [Float](repeating: 1, count: 30)
    func view(_ heads: Int, _ shape: [Int]) -> TensorView? {
      TensorView(guarding: values, shape: shape, rowOrder: .headInterleaved(heads: heads))
    }
    #expect(view(5, [10, 3]) != nil)
    #expect(view(0, [10, 3]) == nil)
    #expect(view(-1, [10, 3]) == nil)
    #expect(view(3, [10, 3]) == nil)
    #expect(view(2, [10, 3]) == nil, "heads of five rows have no halves")
    #expect(view(1, [30]) == nil)
  }

  @Test func storedTypesKeepTheirBits() throws {
    let patterns: [UInt16] = [0x3c00, 0xbc00, 0x0001, 0x7c00, 0x8000, 0x1234, 0x4321]
    for dtype in [DType.f16, .bf16] {
      let content = ConversionTests.bytes(patterns)
      let view = try #require(TensorView(guarding: content, dtype: dtype, shape: [1, 7]))
      let mask = try #require(MaskBits(rows: 1, columns: 7, bytes: [0b0101101]))
      let expected = patterns.enumerated().map { mask.isKept(row: 0, column: $0) ? $1 : 0 }
      #expect(MaskedTensor(weights: view, mask: mask).storedBytes(rows: 0..<1) == ConversionTests.bytes(expected))
      #expect(MaskedTensor(weights: view).storedBytes(rows: 0..<1) == content)
    }
  }

  @Test func onlyPlainAlignedFloatsAreUsedInPlace() throws {
    let values: [Float] = [1, 2, 3, 4, 5, 6, 7, 8]
    let scratch = FloatBuffer(count: 8)
    let plain = MaskedTensor(weights: try #require(TensorView(guarding: values, shape: [2, 4], offset: 4)))
    #expect(plain.inPlace != nil)
    #expect(plain.floats(orReadInto: scratch.pointer, pool: Self.pool) == plain.inPlace)

    let crooked = MaskedTensor(weights: try #require(TensorView(guarding: values + [0], shape: [9], offset: 3)))
    let odd = try #require(
      TensorView(storage: crooked.weights.storage, byteOffset: 2, dtype: .f32, shape: [2, 4]))
    let masked = MaskedTensor(weights: plain.weights, mask: MaskBits(keepingAll: 2, columns: 4))
    for tensor in [MaskedTensor(weights: odd), masked] where tensor.inPlace != nil {
      Issue.record("used in place: \(tensor.weights.byteOffset), mask \(tensor.mask != nil)")
    }
    #expect(masked.floats(orReadInto: scratch.pointer, pool: Self.pool) == UnsafePointer(scratch.pointer))
    #expect(Array(scratch.readOnly) == values)
  }
}

@Suite struct TensorViewTests {
  @Test(arguments: [
    ("fits", 0, DType.f32, [2, 4], true), ("at an offset", 4, .f32, [7], true), ("a scalar", 0, .f64, [], true),
    ("blocks", 0, .q8_0, [0 + 0], false), ("past the end", 1, .f32, [2, 4], false), ("negative", -1, .f32, [1], false),
    ("a size of 0", 0, .f32, [2, 0], false), ("a negative size", 0, .f32, [-2, -4], false),
    ("overflowing", 0, .u8, [Int.max, 2], false), ("overflowing bytes", 0, .f64, [Int.max / 4], false),
    ("offset near the end of memory", Int.max, .u8, [1], false), ("a cut block", 0, .q4_0, [16], false),
  ])
  func staysInside(name: String, offset: Int, dtype: DType, shape: [Int], fits: Bool) {
    let storage = GuardedBytes([UInt8](repeating: 0, count: 32))
    let view = TensorView(storage: storage, byteOffset: offset, dtype: dtype, shape: shape)
    #expect((view != nil) == fits, "\(name)")
  }
}
