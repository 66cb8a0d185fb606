// Looking at the scores of a tensor: a region, the extremes, a heatmap.

package import Tensors

/// A rectangle of a matrix.
package struct MatrixRegion: Sendable, Equatable {
  package let rows: Range<Int>
  package let columns: Range<Int>
  /// Values that one answer carries at the most.
  package static let largest = 4096

  package init(rows: Range<Int>, columns: Range<Int>) {
    self.rows = rows
    self.columns = columns
  }

  package var count: Int { rows.count * columns.count }

  /// - Throws: `CompressionError` if the region is empty, leaves the matrix, or has more than `limit` elements.
  package func check(
    tensor: String, rows rowCount: Int, columns columnCount: Int, limit: Int = MatrixRegion.largest
  ) throws(CompressionError) {
    guard !rows.isEmpty, !columns.isEmpty, rows.lowerBound >= 0, columns.lowerBound >= 0,
      rows.upperBound <= rowCount, columns.upperBound <= columnCount
    else {
      throw .regionOutside(
        tensor: tensor,
        region: "rows \(rows.lowerBound)..<\(rows.upperBound), columns \(columns.lowerBound)..<\(columns.upperBound)",
        rows: rowCount, columns: columnCount)
    }
    let (product, overflow) = rows.count.multipliedReportingOverflow(by: columns.count)
    guard !overflow, product <= limit else {
      throw .regionTooLarge(values: overflow ? .max : product, maximum: limit)
    }
  }
}

/// A score and where it is.
package struct PlacedScore: Sendable, Equatable {
  package let row: Int
  package let column: Int
  package let score: Float
}

extension ScoreMatrix {
  /// The scores of a region that was checked, row after row.
  package func values(in region: MatrixRegion) -> [Float] {
    region.rows.flatMap { row in region.columns.map { self[row, $0] } }
  }

  /// The `count` largest scores, or the smallest, in order; of equal ones the first in row-major order first.
  package func extremes(_ count: Int, largest: Bool, pool: ComputePool) -> [PlacedScore] {
    let count = min(count, elementCount)
    guard count > 0 else { return [] }
    let boundary = ScoreCensus([self], pool: pool).score(rank: largest ? elementCount - count : count - 1, pool: pool)
    var inside: [PlacedScore] = [], tied: [PlacedScore] = []
    for row in 0..<rows {
      for column in 0..<columns {
        let score = self[row, column]
        if largest ? score > boundary : score < boundary {
          inside.append(PlacedScore(row: row, column: column, score: score))
        } else if score == boundary, tied.count < count {
          tied.append(PlacedScore(row: row, column: column, score: score))
        }
      }
    }
    return (inside + tied.prefix(count - inside.count)).sorted { a, b in
      if a.score != b.score { return largest ? a.score > b.score : a.score < b.score }
      return (a.row, a.column) < (b.row, b.column)
    }
  }

  /// Mean scores of a grid of `gridRows` by `gridColumns` cells that cover the matrix evenly, row after row; the grid
  /// is not finer than the matrix.
  package func heatmap(rows gridRows: Int, columns gridColumns: Int) -> (rows: Int, columns: Int, values: [Float]) {
    let gridRows = min(gridRows, rows), gridColumns = min(gridColumns, columns)
    var means: [Float] = []
    means.reserveCapacity(gridRows * gridColumns)
    for gridRow in 0..<gridRows {
      let cellRows = gridRow * rows / gridRows..<(gridRow + 1) * rows / gridRows
      var sums = [Double](repeating: 0, count: columns)
      for row in cellRows {
        for column in 0..<columns { sums[column] += Double(self[row, column]) }
      }
      for gridColumn in 0..<gridColumns {
        let cellColumns = gridColumn * columns / gridColumns..<(gridColumn + 1) * columns / gridColumns
        means.append(Float(sums[cellColumns].reduce(0, +) / Double(cellRows.count * cellColumns.count)))
      }
    }
    return (gridRows, gridColumns, means)
  }
}
