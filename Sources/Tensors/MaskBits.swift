// Which weights of a matrix are kept: one bit each, immutable once made.

import CKernels

/// The mask of a `[rows, columns]` matrix. Bit 1 keeps a weight, bit 0 prunes it. Eight to a byte, lowest bit first,
/// each row padded to a whole byte with zero bits.
package final class MaskBits: Sendable {
  package let rows: Int
  package let columns: Int
  package let bytes: [UInt8]

  package static func rowBytes(columns: Int) -> Int { (columns + 7) / 8 }
  package var rowBytes: Int { Self.rowBytes(columns: columns) }

  /// A mask out of its bytes, or nil unless there are `rows` times `rowBytes` of them. Padding bits are cleared.
  package init?(rows: Int, columns: Int, bytes: [UInt8]) {
    let (count, overflow) = rows.multipliedReportingOverflow(by: Self.rowBytes(columns: columns))
    guard rows >= 1, columns >= 1, !overflow, bytes.count == count else { return nil }
    self.rows = rows
    self.columns = columns
    self.bytes = Self.clearingPadding(bytes, columns: columns)
  }

  /// The mask that prunes nothing.
  package init(keepingAll rows: Int, columns: Int) {
    self.rows = rows
    self.columns = columns
    bytes = Self.clearingPadding(
      [UInt8](repeating: 0xff, count: rows * Self.rowBytes(columns: columns)), columns: columns)
  }

  /// A mask that `fill` makes row after row, beginning with every weight kept. `fill(row, bits)` may run on any thread.
  package init(
    rows: Int, columns: Int, pool: ComputePool, fill: (_ row: Int, _ bits: UnsafeMutablePointer<UInt8>) -> Void
  ) {
    self.rows = rows
    self.columns = columns
    let rowBytes = Self.rowBytes(columns: columns)
    var bytes = [UInt8](repeating: 0xff, count: rows * rowBytes)
    bytes.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      pool.parallelRanges(rows, grain: max(1, 1 << 16 / columns)) { range, _ in
        for row in range { fill(row, base + row * rowBytes) }
      }
    }
    self.bytes = Self.clearingPadding(bytes, columns: columns)
  }

  private static func clearingPadding(_ bytes: [UInt8], columns: Int) -> [UInt8] {
    guard columns % 8 != 0 else { return bytes }
    var bytes = bytes
    let rowBytes = rowBytes(columns: columns)
    let last = UInt8((1 << (columns % 8)) - 1)
    for index in stride(from: rowBytes - 1, to: bytes.count, by: rowBytes) { bytes[index] &= last }
    return bytes
  }

  /// How many weights are kept.
  package var keptCount: Int {
    bytes.withUnsafeBufferPointer { buffer in
      buffer.baseAddress.map { ck_mask_count($0, buffer.count * 8) } ?? 0
    }
  }

  package func isKept(row: Int, column: Int) -> Bool {
    bytes[row * rowBytes + column / 8] >> (column % 8) & 1 == 1
  }
}

extension MaskBits {
  /// What both keep.
  package func intersection(_ other: MaskBits) -> MaskBits {
    precondition(rows == other.rows && columns == other.columns, "masks of one tensor have its shape")
    return MaskBits(rows: rows, columns: columns, bytes: zip(bytes, other.bytes).map { $0 & $1 }) ?? self
  }
}

extension MaskBits: Equatable {
  package static func == (a: MaskBits, b: MaskBits) -> Bool {
    a === b || (a.rows == b.rows && a.columns == b.columns && a.bytes == b.bytes)
  }
}
