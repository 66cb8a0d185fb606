// Packing of masks: order of bits, padding, counts, and what is refused.

import Tensors
import TestSupport
import Testing

@Suite struct MaskBitsTests {
  @Test func lowestBitFirstAndRowsPadded() throws {
    let mask = try #require(MaskBits(rows: 2, columns: 11, bytes: [0b0000_0101, 0b0000_0010, 0xff, 0xff]))
    #expect(mask.bytes == [0b0000_0101, 0b0000_0010, 0xff, 0b0000_0111], "padding is cleared")
    #expect((0..<11).filter { mask.isKept(row: 0, column: $0) } == [0, 2, 9])
    #expect((0..<11).allSatisfy { mask.isKept(row: 1, column: $0) })
    #expect(mask.keptCount == 14 && mask.rowBytes == 2)
  }

  @Test(arguments: [1, 7, 8, 9, 31, 33, 100], [1, 3])
  func keepingAllCountsAll(columns: Int, rows: Int) throws {
    let all = MaskBits(keepingAll: rows, columns: columns)
    #expect(all.keptCount == rows * columns)
    #expect(all.bytes.count == rows * ((columns + 7) / 8))
    #expect(try #require(MaskBits(rows: rows, columns: columns, bytes: all.bytes)) == all)
    let none = try #require(
      MaskBits(rows: rows, columns: columns, bytes: [UInt8](repeating: 0, count: all.bytes.count)))
    #expect(none.keptCount == 0 && none != all)
  }

  @Test(arguments: [1, 7, 8, 13, 64, 100])
  func filledRowByRow(columns: Int) {
    let mask = MaskBits(rows: 9, columns: columns, pool: ComputePool(threads: 3)) { row, bits in
      for byte in 0..<(columns + 7) / 8 { bits[byte] = UInt8(row * 37 & 0xff) }
    }
    for row in 0..<9 {
      for column in 0..<columns {
        #expect(mask.isKept(row: row, column: column) == (UInt8(row * 37 & 0xff) >> (column % 8) & 1 == 1))
      }
    }
  }

  @Test(arguments: [
    (1, 8, 0), (1, 8, 2), (2, 9, 3), (0, 8, 0), (1, 0, 0), (-1, 8, 1), (Int.max, 9, 2), (2, Int.max - 8, 4),
  ])
  func refusesOtherCounts(rows: Int, columns: Int, bytes: Int) {
    #expect(MaskBits(rows: rows, columns: columns, bytes: [UInt8](repeating: 0, count: bytes)) == nil)
  }

  @Test func equalityIsOfBits() throws {
    let a = try #require(MaskBits(rows: 1, columns: 8, bytes: [1]))
    #expect(try a == #require(MaskBits(rows: 1, columns: 8, bytes: [1])))
    #expect(try a != #require(MaskBits(rows: 1, columns: 8, bytes: [2])))
    #expect(try a != #require(MaskBits(rows: 1, columns: 7, bytes: [1])))
  }
}
