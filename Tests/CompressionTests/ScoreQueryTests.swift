// Looking at scores and masks: summaries, regions, extremes, heatmaps, differences, against naive ones.

import Tensors
import TestSupport
import Testing

@testable import Compression

@Suite struct ScoreSummaryTests {
  @Test(arguments: [1, 2, 7, 31, 100, 1000], [false, true])
  func quantilesAreThoseOfASort(count: Int, isTied: Bool) throws {
    var random = Seeded(UInt64(count))
    let values = isTied ? random.tied(count, levels: 4) : random.floats(count)
    let summary = try #require(ScoreSummary(scores(values, rows: 1, columns: count), pool: Engine.pool))
    let sorted = values.sorted()
    #expect(summary.quantiles == ScoreSummary.quantileFractions.map { sorted[Int($0 * Double(count - 1))] }, "\(random)")
    #expect(summary.minimum == sorted.first && summary.maximum == sorted.last)
    #expect(abs(summary.mean - values.reduce(0) { $0 + Double($1) } / Double(count)) < 1e-6)
  }

  @Test func histogramCountsEveryScoreOnce() throws {
    var random = Seeded(3)
    let values = random.floats(997)
    let summary = try #require(ScoreSummary(scores(values, rows: 997, columns: 1), pool: Engine.pool))
    var expected = [Int](repeating: 0, count: 32)
    let low = Double(values.min() ?? 0), width = Double(values.max() ?? 0) - low
    for value in values { expected[min(31, Int((Double(value) - low) / width * 32))] += 1 }
    #expect(summary.histogram.reduce(0, +) == 997 && summary.histogram.count == 32)
    let moved = zip(summary.histogram, expected).reduce(0) { $0 + abs($1.0 - $1.1) }
    #expect(moved <= 4, "a score at an edge may fall to either side, \(random)")
  }

  @Test(arguments: [
    ([2, 2, 2], [0: 3]), ([0, 1], [0: 1, 31: 1]), ([-.infinity, 0, 1, .infinity], [0: 2, 31: 2]),
    ([.infinity, .infinity], [31: 2]), ([-.infinity, -.infinity, 5], [0: 3]), ([5, .infinity], [0: 1, 31: 1]),
    ([-3e38, 0, 3e38], [0: 1, 16: 1, 31: 1]), ([.leastNonzeroMagnitude, 0], [31: 1, 0: 1]),
  ] as [([Float], [Int: Int])])
  func histogramsOfExtremes(values: [Float], expected: [Int: Int]) throws {
    let summary = try #require(ScoreSummary(scores(values, rows: 1, columns: values.count), pool: Engine.pool))
    let bins = summary.histogram.enumerated().filter { $1 > 0 }
    #expect(Dictionary(uniqueKeysWithValues: bins.map { ($0.offset, $0.element) }) == expected)
  }

  @Test func nanHasNoSummary() {
    #expect(ScoreSummary(scores([1, .nan, 2], rows: 1, columns: 3), pool: Engine.pool) == nil)
  }
}

@Suite struct ScoreQueryTests {
  @Test(arguments: [1, 5, 40, 10_000, Int.max], [true, false])
  func extremes(count: Int, largest: Bool) {
    for (seed, isTied) in [(1, true), (2, false)] as [(UInt64, Bool)] {
      var random = Seeded(seed)
      let values = isTied ? random.tied(13 * 11, levels: 3) : random.floats(13 * 11)
      let matrix = scores(values, rows: 13, columns: 11)
      let order = values.indices.sorted { a, b in
        if values[a] != values[b] { return largest ? values[a] > values[b] : values[a] < values[b] }
        return a < b
      }
      let expected = order.prefix(count).map { PlacedScore(row: $0 / 11, column: $0 % 11, score: values[$0]) }
      #expect(matrix.extremes(count, largest: largest, pool: Engine.pool) == expected, "\(random)")
    }
    #expect(scores([1], rows: 1, columns: 1).extremes(0, largest: true, pool: Engine.pool) == [])
  }

  /// The rows and columns of cell `index` of `cells` over `count`.
  static func cell(_ index: Int, of cells: Int, over count: Int) -> Range<Int> {
    index * count / cells..<(index + 1) * count / cells
  }

  @Test(arguments: [(1, 1), (3, 2), (4, 5), (13, 11), (100, 100), (1, 11)])
  func heatmaps(grid: (rows: Int, columns: Int)) throws {
    var random = Seeded(8)
    let values = random.floats(13 * 11)
    let map = scores(values, rows: 13, columns: 11).heatmap(rows: grid.rows, columns: grid.columns)
    let mask = try #require(
      MaskBits(rows: 13, columns: 11, bytes: (0..<26).map { _ in UInt8(truncatingIfNeeded: random.next()) }))
    let densities = mask.densities(rows: grid.rows, columns: grid.columns)
    let (gridRows, gridColumns) = (min(13, grid.rows), min(11, grid.columns))
    #expect(map.rows == gridRows && map.columns == gridColumns)
    #expect(densities.rows == gridRows && densities.columns == gridColumns)
    var means: [Double] = [], shares: [Double] = []
    for r in 0..<gridRows {
      for c in 0..<gridColumns {
        let cells = Self.cell(r, of: gridRows, over: 13).flatMap { row in
          Self.cell(c, of: gridColumns, over: 11).map { (row, $0) }
        }
        means.append(cells.reduce(0) { $0 + Double(values[$1.0 * 11 + $1.1]) } / Double(cells.count))
        shares.append(Double(cells.count { mask.isKept(row: $0.0, column: $0.1) }) / Double(cells.count))
      }
    }
    #expect(
      difference(Numbers(map.values), Numbers(means, dtype: .f32), Tolerance(absolute: 1e-7, relative: 1e-6)) == nil)
    #expect(densities.values == shares)
  }

  @Test func regions() throws {
    let matrix = scores((0..<30).map { Float($0) }, rows: 5, columns: 6)
    let region = MatrixRegion(rows: 1..<3, columns: 4..<6)
    try region.check(tensor: "t", rows: 5, columns: 6)
    #expect(matrix.values(in: region) == [10, 11, 16, 17] && region.count == 4)
    let mask = try #require(MaskBits(rows: 2, columns: 12, bytes: [0b1010_0101, 0b0110, 0xff, 0x0f]))
    #expect(mask.bits(in: MatrixRegion(rows: 0..<2, columns: 2..<12)) == [0b1010_1001, 0b01, 0xff, 0b11])
    #expect(mask.bits(in: MatrixRegion(rows: 0..<1, columns: 7..<10)) == [0b101])
  }

  @Test(arguments: [
    (0..<0, 0..<1, "regionOutside"), (0..<1, 3..<3, "regionOutside"), (-1..<1, 0..<1, "regionOutside"),
    (0..<6, 0..<1, "regionOutside"), (0..<1, 0..<7, "regionOutside"), (0..<5, 0..<6, nil), (4..<5, 5..<6, nil),
    (Int.min..<Int.max, 0..<1, "regionOutside"),
  ] as [(Range<Int>, Range<Int>, String?)])
  func regionChecks(rows: Range<Int>, columns: Range<Int>, kind: String?) {
    do throws(CompressionError) {
      try MatrixRegion(rows: rows, columns: columns).check(tensor: "t", rows: 5, columns: 6)
      #expect(kind == nil)
    } catch {
      #expect(error.kind == kind && error.message.contains("\"t\""))
    }
  }

  @Test func regionsHaveALimit() {
    func kind(_ rows: Int, _ columns: Int, limit: Int = MatrixRegion.largest) -> String? {
      do throws(CompressionError) {
        try MatrixRegion(rows: 0..<rows, columns: 0..<columns).check(
          tensor: "t", rows: Int.max, columns: Int.max, limit: limit)
        return nil
      } catch {
        return error.kind
      }
    }
    #expect(kind(64, 64) == nil && kind(64, 65) == "regionTooLarge" && kind(64, 65, limit: 1 << 16) == nil)
    #expect(kind(Int.max, Int.max) == "regionTooLarge")
  }
}

@Suite struct MaskDifferenceTests {
  @Test func countsEveryKindOfChange() throws {
    let from = try #require(MaskBits(rows: 2, columns: 5, bytes: [0b10101, 0b11111]))
    let to = try #require(MaskBits(rows: 2, columns: 5, bytes: [0b00111, 0b01111]))
    let difference = MaskDifference(from: from, to: to)
    #expect(difference.pruned == 2 && difference.restored == 1 && difference.stillPruned == 1 && difference.count == 10)
    #expect(difference.agreement == 0.7 && difference.prunedOverlap == 0.25)
  }

  @Test(arguments: [1, 7, 8, 33])
  func againstItselfAndNothing(columns: Int) throws {
    let all = MaskBits(keepingAll: 3, columns: columns)
    let none = try #require(
      MaskBits(rows: 3, columns: columns, bytes: [UInt8](repeating: 0, count: all.bytes.count)))
    let same = MaskDifference(from: all, to: all)
    #expect(same.agreement == 1 && same.prunedOverlap == 1 && same.stillPruned == 0)
    let opposite = MaskDifference(from: all, to: none)
    #expect(opposite.pruned == 3 * columns && opposite.agreement == 0 && opposite.prunedOverlap == 0)
    #expect(MaskDifference(from: none, to: none).stillPruned == 3 * columns, "padding counts nowhere")
  }
}
