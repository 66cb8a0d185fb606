// Block-quantised weights as fp32: the same bits as gguf-py makes of them, whatever the scales and codes.

import Tensors
import TestSupport
import Testing

@Suite struct BlockGoldenTests {
  private static let types = DType.allCases.filter { $0.blockElements > 1 }

  /// Stored bytes, and the bits of the values, row by row.
  private struct Blocks {
    let rows: [[UInt8]]
    let bits: [[UInt32]]

    init(_ dtype: DType, in golden: Golden) throws {
      let stored = try golden.numbers("stored \(dtype)"), bits = try golden.numbers("bits \(dtype)")
      let (bytes, elements) = (stored.shape[1], bits.shape[1])
      rows = (0..<stored.shape[0]).map { row in (0..<bytes).map { UInt8(stored.values[row * bytes + $0]) } }
      self.bits = (0..<bits.shape[0]).map { row in
        (0..<elements).map { UInt32(bitPattern: Int32(bits.values[row * elements + $0])) }
      }
    }

    /// Rows that are not read as the golden's bits.
    func wrongRows(_ dtype: DType, offset: Int = 0, _ change: ([UInt8]) -> [UInt8] = { $0 }) throws -> [Int] {
      try rows.indices.filter { row in
        let floats = try ConversionTests.row(change(rows[row]), dtype, columns: bits[row].count, offset: offset)
        return floats.map(\.bitPattern) != bits[row]
      }
    }
  }

  private static func golden() throws -> Golden {
    try Golden(Repository.goldens(of: "TensorsTests") + "/blocks.golden.safetensors")
  }

  @Test func everyTypeHasAGolden() throws {
    #expect(Self.types.count == 10)
    let names = try Self.golden().names
    #expect(Set(names) == Set(Self.types.flatMap { ["stored \($0)", "bits \($0)"] }))
  }

  @Test(arguments: types, [0, 1])
  func sameBitsAsTheReference(dtype: DType, offset: Int) throws {
    let golden = try Self.golden()
    let blocks = try Blocks(dtype, in: golden)
    #expect(blocks.rows.count == 9 && blocks.bits.allSatisfy { $0.count == 256 })
    #expect(blocks.rows.allSatisfy { $0.count == 256 / dtype.blockElements * dtype.blockBytes })
    #expect(try blocks.wrongRows(dtype, offset: offset) == [], "\(golden.recipe)")
  }

  /// All blocks one after the other, as a matrix has them.
  @Test(arguments: types)
  func longRows(dtype: DType) throws {
    let blocks = try Blocks(dtype, in: Self.golden())
    let floats = try ConversionTests.row(blocks.rows.flatMap { $0 }, dtype, columns: 9 * 256)
    #expect(floats.map(\.bitPattern) == blocks.bits.flatMap { $0 })
  }

  /// The comparison notices nibbles in the wrong order, a wrong sign of a scale, and blocks that are one byte off.
  @Test(arguments: types)
  func wrongBlocksAreNoticed(dtype: DType) throws {
    let blocks = try Blocks(dtype, in: Self.golden())
    #expect(try blocks.wrongRows(dtype) { $0.map { $0 << 4 | $0 >> 4 } }.count > 5)
    #expect(try blocks.wrongRows(dtype) { Array($0.dropFirst()) + $0.prefix(1) }.count > 5)
    let halves: [DType: [Int]] = [.q2_k: [80], .q3_k: [108], .q6_k: [208]]
    let negated = try blocks.wrongRows(dtype) { row in
      var row = row
      for at in halves[dtype] ?? [0] { row[at + 1] ^= 0x80 }
      return row
    }
    #expect(negated.count > 5)
  }
}
