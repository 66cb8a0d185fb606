// Masks row by row and column by column: which are pruned whole, pruning some whole, and the mask of what is left.

package import Tensors

extension MaskBits {
  /// For each row whether a weight of it is kept.
  package var keptRows: [Bool] {
    (0..<rows).map { row in bytes[row * rowBytes..<(row + 1) * rowBytes].contains { $0 != 0 } }
  }

  /// For each column whether a weight of it is kept.
  package var keptColumns: [Bool] {
    var union = [UInt8](repeating: 0, count: rowBytes)
    for row in 0..<rows {
      for byte in 0..<rowBytes { union[byte] |= bytes[row * rowBytes + byte] }
    }
    return (0..<columns).map { union[$0 / 8] >> ($0 % 8) & 1 == 1 }
  }

  /// This mask with these rows and columns pruned whole.
  package func pruning(rows prunedRows: some Sequence<Int>, columns prunedColumns: some Sequence<Int>) -> MaskBits {
    var keep = [UInt8](repeating: 0xff, count: rowBytes), bytes = bytes
    for column in prunedColumns { keep[column / 8] &= ~(1 << (column % 8)) }
    if keep.contains(where: { $0 != 0xff }) {
      for row in 0..<rows {
        for byte in 0..<rowBytes { bytes[row * rowBytes + byte] &= keep[byte] }
      }
    }
    for row in prunedRows {
      for byte in row * rowBytes..<(row + 1) * rowBytes { bytes[byte] = 0 }
    }
    return MaskBits(rows: rows, columns: columns, bytes: bytes) ?? self
  }

  /// The mask of these rows and columns, nil for all; nil if it prunes nothing.
  package func cut(rows keptRows: [Int]?, columns keptColumns: [Int]?) -> MaskBits? {
    let chosenRows = keptRows ?? Array(0..<rows), count = keptColumns?.count ?? columns
    let size = MaskBits.rowBytes(columns: count)
    var cut = [UInt8](repeating: 0, count: chosenRows.count * size)
    for (place, row) in chosenRows.enumerated() {
      guard let keptColumns else {
        cut.replaceSubrange(place * size..<(place + 1) * size, with: bytes[row * rowBytes..<(row + 1) * rowBytes])
        continue
      }
      for (bit, column) in keptColumns.enumerated() where isKept(row: row, column: column) {
        cut[place * size + bit / 8] |= 1 << (bit % 8)
      }
    }
    guard let mask = MaskBits(rows: chosenRows.count, columns: count, bytes: cut) else { return nil }
    return mask.keptCount == mask.rows * mask.columns ? nil : mask
  }
}
