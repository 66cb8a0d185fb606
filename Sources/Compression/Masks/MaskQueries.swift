// Looking at a mask: a region bit by bit, or the densities of a grid of cells.

package import Tensors

extension MaskBits {
  /// The rows of a region that was checked, one after another, each packed from the lowest bit and padded to a byte.
  package func bits(in region: MatrixRegion) -> [UInt8] {
    region.rows.flatMap { row in
      var packed = [UInt8](repeating: 0, count: MaskBits.rowBytes(columns: region.columns.count))
      for (place, column) in region.columns.enumerated() where isKept(row: row, column: column) {
        packed[place / 8] |= 1 << (place % 8)
      }
      return packed
    }
  }

  /// The fraction kept of each cell of a grid that covers the mask evenly, row after row; the grid is not finer than
  /// the matrix.
  package func densities(
    rows gridRows: Int, columns gridColumns: Int
  ) -> (rows: Int, columns: Int, values: [Double]) {
    let gridRows = min(gridRows, rows), gridColumns = min(gridColumns, columns)
    var values: [Double] = []
    for gridRow in 0..<gridRows {
      let cellRows = gridRow * rows / gridRows..<(gridRow + 1) * rows / gridRows
      for gridColumn in 0..<gridColumns {
        let cellColumns = gridColumn * columns / gridColumns..<(gridColumn + 1) * columns / gridColumns
        let kept = cellRows.reduce(0) { sum, row in
          sum + cellColumns.count { isKept(row: row, column: $0) }
        }
        values.append(Double(kept) / Double(cellRows.count * cellColumns.count))
      }
    }
    return (gridRows, gridColumns, values)
  }
}
