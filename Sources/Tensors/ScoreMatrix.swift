// Scores of a weight matrix, and the exact selections over them: the smallest of each row, group, column or of all.

import CKernels

/// fp32 scores `[rows, columns]`, row-major, none of them NaN once `range` has said so.
package struct ScoreMatrix: Sendable {
  package let rows: Int
  package let columns: Int
  package let values: FloatBuffer

  package init(rows: Int, columns: Int) {
    self.rows = rows
    self.columns = columns
    values = FloatBuffer(count: rows * columns)
  }

  package var elementCount: Int { rows * columns }
  package subscript(row: Int, column: Int) -> Float { values.pointer[row * columns + column] }

  /// Smallest, largest and mean score, or nil if one is NaN.
  package var range: (minimum: Float, maximum: Float, mean: Double)? {
    var minimum: Float = 0, maximum: Float = 0, sum = 0.0
    let isNaN = ck_range(&minimum, &maximum, &sum, values.pointer, elementCount)
    return isNaN != 0 ? nil : (minimum, maximum, sum / Double(max(1, elementCount)))
  }

  /// The index of the first NaN, if there is one.
  package var firstNaN: Int? { values.readOnly.firstIndex(where: \.isNaN) }

  /// Prunes the `count` smallest of each row. Ties: the first go first, here and below.
  package func pruningRows(_ count: Int, pool: ComputePool) -> MaskBits {
    MaskBits(rows: rows, columns: columns, pool: pool) { row, bits in
      withUnsafeTemporaryAllocation(of: UInt32.self, capacity: columns) { keys in
        guard let keys = keys.baseAddress else { return }
        ck_select_row(bits, values.pointer + row * columns, columns, count, keys)
      }
    }
  }

  /// Prunes the `count` smallest of every `size` consecutive scores of a row; `size` divides `columns`, at most 256.
  package func pruningGroups(_ count: Int, of size: Int, pool: ComputePool) -> MaskBits {
    MaskBits(rows: rows, columns: columns, pool: pool) { row, bits in
      ck_select_groups(bits, values.pointer + row * columns, columns, count, size)
    }
  }

  /// Prunes the `count` smallest of each column.
  package func pruningColumns(_ count: Int) -> MaskBits {
    let rowBytes = MaskBits.rowBytes(columns: columns)
    var bytes = [UInt8](repeating: 0xff, count: rows * rowBytes)
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: ck_select_columns_scratch(rows)) { keys in
      guard let keys = keys.baseAddress else { return }
      ck_select_columns(&bytes, values.pointer, rows, columns, rowBytes, count, keys)
    }
    return MaskBits(rows: rows, columns: columns, bytes: bytes) ?? MaskBits(keepingAll: rows, columns: columns)
  }

  /// Prunes the scores below the threshold and its first ties, row after row.
  package func pruningBelow(_ threshold: ScoreThreshold) -> MaskBits {
    let rowBytes = MaskBits.rowBytes(columns: columns)
    var bytes = [UInt8](repeating: 0xff, count: rows * rowBytes)
    var ties = UInt64(threshold.ties)
    bytes.withUnsafeMutableBufferPointer { bytes in
      guard let base = bytes.baseAddress else { return }
      for row in 0..<rows {
        ck_select_below(base + row * rowBytes, values.pointer + row * columns, columns, threshold.key, &ties)
      }
    }
    return MaskBits(rows: rows, columns: columns, bytes: bytes) ?? MaskBits(keepingAll: rows, columns: columns)
  }

  /// Scores exactly at a threshold.
  package func ties(at threshold: ScoreThreshold) -> Int {
    Int(ck_select_ties(values.pointer, elementCount, threshold.key))
  }

  /// The mean place of every score in ascending order, from 0. For rank correlation (Spearman 1904).
  package func ranks() -> FloatBuffer {
    let ranks = FloatBuffer(count: elementCount)
    let scratch = UnsafeMutablePointer<UInt32>.allocate(capacity: ck_rank_scratch(elementCount))
    defer { scratch.deallocate() }
    ck_rank(ranks.pointer, values.pointer, elementCount, scratch)
    return ranks
  }
}

/// The boundary under which a given number of scores lie.
package struct ScoreThreshold: Sendable {
  let key: UInt32
  /// How many of the scores at the boundary itself belong to the number.
  package var ties: Int
}

/// Counts scores by the upper halves of their keys, so that ranks over any number of matrices can be found exactly.
package struct ScoreCensus: Sendable {
  private var coarse = [UInt64](repeating: 0, count: 1 << 16)
  private let matrices: [ScoreMatrix]
  package let count: Int

  /// Reads every score once, on the threads of `pool`.
  package init(_ matrices: [ScoreMatrix], pool: ComputePool) {
    self.matrices = matrices
    count = matrices.reduce(0) { $0 + $1.elementCount }
    for histogram in Self.histograms(matrices, pool: pool, count: ck_select_coarse) {
      for (bucket, count) in histogram.enumerated() { coarse[bucket] += UInt64(count) }
    }
  }

  /// The score of rank `rank` (from 0, below `count`).
  package func score(rank: Int, pool: ComputePool) -> Float { ck_select_score(find(rank: rank, pool: pool).key) }

  /// The threshold that has exactly `count` scores below it, ties counted in order. `count` is 1 to all.
  package func threshold(pruning count: Int, pool: ComputePool) -> ScoreThreshold {
    let (key, below) = find(rank: count - 1, pool: pool)
    return ScoreThreshold(key: key, ties: count - below)
  }

  /// The key of a rank and how many keys are below it. Reads every score once more.
  private func find(rank: Int, pool: ComputePool) -> (key: UInt32, below: Int) {
    var below = 0, bucket = 0
    while bucket < coarse.count - 1, below + Int(coarse[bucket]) <= rank {
      below += Int(coarse[bucket])
      bucket += 1
    }
    var fine = [UInt64](repeating: 0, count: 1 << 16)
    for histogram in Self.histograms(matrices, pool: pool, count: { ck_select_fine($0, $1, $2, UInt32(bucket)) }) {
      for (low, count) in histogram.enumerated() { fine[low] += UInt64(count) }
    }
    var low = 0
    while low < fine.count - 1, below + Int(fine[low]) <= rank {
      below += Int(fine[low])
      low += 1
    }
    return (UInt32(bucket) << 16 | UInt32(low), below)
  }

  /// One histogram a matrix.
  private static func histograms(
    _ matrices: [ScoreMatrix], pool: ComputePool,
    count: (UnsafeMutablePointer<UInt32>, UnsafePointer<Float>, Int) -> Void
  ) -> [[UInt32]] {
    var histograms = [[UInt32]](repeating: [], count: matrices.count)
    histograms.withUnsafeMutableBufferPointer { histograms in
      pool.parallelFor(matrices.count) { index, _ in
        var histogram = [UInt32](repeating: 0, count: 1 << 16)
        count(&histogram, matrices[index].values.pointer, matrices[index].elementCount)
        histograms[index] = histogram
      }
    }
    return histograms
  }
}
