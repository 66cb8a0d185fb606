// Stored weights as fp32: every 16-bit pattern, and the block types against their formulas.

import Tensors
import TestSupport
import Testing

@Suite struct ConversionTests {
  /// One row of a stored tensor as fp32.
  static func row(_ content: [UInt8], _ dtype: DType, columns: Int, offset: Int = 0) throws -> [Float] {
    let view = try #require(TensorView(guarding: content, dtype: dtype, shape: [columns], offset: offset))
    let out = FloatBuffer(count: columns)
    MaskedTensor(weights: view).readRow(0, into: out.pointer)
    return Array(out.readOnly)
  }

  static func bytes(_ values: [UInt16]) -> [UInt8] { values.map(\.littleEndian).withUnsafeBytes(Array.init) }

  static let everyPattern = (0...UInt16.max).map { $0 }

  /// What IEEE 754 says that 16 bits mean.
  static func half(_ bits: UInt16) -> Double {
    let sign = bits >> 15 == 0 ? 1.0 : -1.0
    let exponent = Int(bits >> 10 & 31), fraction = Double(bits & 1023)
    switch exponent {
    case 31: return fraction == 0 ? sign * .infinity : .nan
    case 0: return sign * fraction * 0x1p-24
    default: return sign * (1 + fraction / 1024) * Double(sign: .plus, exponent: exponent - 15, significand: 1)
    }
  }

  @Test func everyHalf() throws {
    let floats = try Self.row(Self.bytes(Self.everyPattern), .f16, columns: 1 << 16)
    for (bits, float) in zip(Self.everyPattern, floats) {
      let expected = Self.half(bits)
      guard expected.isNaN ? float.isNaN : Double(float) == expected && (float.sign == .minus) == (bits >> 15 == 1)
      else {
        Issue.record("f16 0x\(String(bits, radix: 16)) became \(float), expected \(expected)")
        return
      }
    }
  }

  @Test func everyBFloat() throws {
    let floats = try Self.row(Self.bytes(Self.everyPattern), .bf16, columns: 1 << 16)
    let wrong = zip(Self.everyPattern, floats).first { $1.bitPattern != UInt32($0) << 16 }
    #expect(wrong == nil)
  }

  /// Sizes that leave a rest behind every vector width, at places that no alignment helps.
  @Test(arguments: [1, 2, 7, 15, 17, 31, 33, 100, 129], [0, 1, 3])
  func oddRowsAtOddPlaces(columns: Int, offset: Int) throws {
    var random = Seeded(UInt64(columns))
    let patterns = (0..<columns).map { _ in UInt16(truncatingIfNeeded: random.next()) & 0xbbff }  // all finite
    let halves = try Self.row(Self.bytes(patterns), .f16, columns: columns, offset: offset)
    #expect(halves.map(Double.init) == patterns.map(Self.half), "\(random)")
    let wide = try Self.row(Self.bytes(patterns), .bf16, columns: columns, offset: offset)
    #expect(wide.map(\.bitPattern) == patterns.map { UInt32($0) << 16 }, "\(random)")
    let plain = try Self.row(wide.withUnsafeBytes(Array.init), .f32, columns: columns, offset: offset)
    #expect(plain.map(\.bitPattern) == wide.map(\.bitPattern), "\(random)")
  }

  /// Scales as files have them and as hostile ones may: ordinary, negative, subnormal, zero, the largest.
  static let scales: [UInt16] = [0x2e66, 0xb266, 0x0001, 0x03ff, 0x8200, 0, 0x7bff]

  @Test(arguments: [1, 2, 7])
  func blocksOfEightBits(blocks: Int) throws {
    var random = Seeded(UInt64(80 + blocks))
    var content: [UInt8] = [], expected: [Float] = []
    for block in 0..<blocks {
      let scale = Self.scales[block % Self.scales.count]
      let q = (0..<32).map { $0 == 0 ? UInt8(0x80) : UInt8(truncatingIfNeeded: random.next()) }
      content += Self.bytes([scale]) + q
      expected += q.map { Float(Self.half(scale)) * Float(Int8(bitPattern: $0)) }
    }
    let actual = try Self.row(content, .q8_0, columns: 32 * blocks, offset: blocks % 2)
    #expect(actual == expected, "\(random)")
  }

  @Test(arguments: [1, 2, 7], [DType.q4_0, .q4_1])
  func blocksOfFourBits(blocks: Int, dtype: DType) throws {
    var random = Seeded(UInt64(40 + blocks))
    var content: [UInt8] = [], expected: [Float] = []
    for block in 0..<blocks {
      let scale = Self.scales[block % Self.scales.count], minimum: UInt16 = block % 2 == 0 ? 0xb01f : 0x3c01
      let packed = (0..<16).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      let q = packed.map { Float($0 & 15) } + packed.map { Float($0 >> 4) }
      let d = Float(Self.half(scale)), m = Float(Self.half(minimum))
      content += Self.bytes(dtype == .q4_0 ? [scale] : [scale, minimum]) + packed
      expected += q.map { q in
        let product = d * (dtype == .q4_0 ? q - 8 : q)  // rounded before m is added
        return dtype == .q4_0 ? product : product + m
      }
    }
    let actual = try Self.row(content, dtype, columns: 32 * blocks, offset: blocks % 2)
    #expect(actual == expected, "\(random)")
  }

  @Test func kernelsRunOnAKnownInstructionSet() {
    print("Espalier's kernels ran as \(Compute.instructionSet)")
    #expect(["avx512", "avx2", "baseline"].contains(Compute.instructionSet))
  }
}
