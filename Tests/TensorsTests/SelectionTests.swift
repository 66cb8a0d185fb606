// Which scores are the smallest: every selection against a stable sort, N:M against torch.topk.

import Tensors
import TestSupport
import Testing

/// A matrix of these scores, row after row.
func matrix(_ values: [Float], rows: Int, columns: Int) -> ScoreMatrix {
  precondition(values.count == rows * columns)
  let matrix = ScoreMatrix(rows: rows, columns: columns)
  _ = matrix.values.values.initialize(fromContentsOf: values)
  return matrix
}

/// The places of the `count` smallest: stable, so of equal scores the first; -0 equals 0.
func smallest(_ scores: [Float], _ count: Int) -> Set<Int> {
  Set(scores.indices.sorted { (scores[$0], $0) < (scores[$1], $1) }.prefix(count))
}

/// Places that a mask prunes, row-major.
func pruned(_ mask: MaskBits) -> Set<Int> {
  Set((0..<mask.rows * mask.columns).filter { !mask.isKept(row: $0 / mask.columns, column: $0 % mask.columns) })
}

/// What scores can look like.
enum Scores: String, CaseIterable {
  case normal, fewLevels, constant, infinities, subnormal, sameUpperHalf

  func draw(_ count: Int, _ random: inout Seeded) -> [Float] {
    switch self {
    case .normal: random.floats(count)
    case .fewLevels: random.tied(count, levels: 5)
    case .constant: [Float](repeating: -1.5, count: count)
    case .infinities:
      random.tied(count, levels: 3).map { $0 == 0 ? $0 : $0 > 0 ? .infinity : -.infinity }
    case .subnormal: random.floats(count, scale: 1e-40)
    case .sameUpperHalf: (0..<count).map { _ in Float(bitPattern: 0x3f80_0000 | UInt32(random.int(in: 0...0xffff))) }
    }
  }
}

@Suite struct SelectionTests {
  static let pool = ComputePool(threads: 3)
  static let sizes = [(1, 1), (1, 7), (7, 1), (3, 31), (33, 33), (5, 100), (100, 17), (2, 300)]
  static let shares = [0, 0.1, 0.5, 0.9, 1]

  @Test(arguments: sizes, Scores.allCases)
  func rows(size: (rows: Int, columns: Int), scores: Scores) {
    var random = Seeded(UInt64(size.rows * 1000 + size.columns))
    let values = scores.draw(size.rows * size.columns, &random)
    for share in Self.shares {
      let count = Int(share * Double(size.columns))
      let mask = matrix(values, rows: size.rows, columns: size.columns).pruningRows(count, pool: Self.pool)
      for row in 0..<size.rows {
        let start = row * size.columns
        let expected = smallest(Array(values[start..<start + size.columns]), count)
        let actual = Set((0..<size.columns).filter { !mask.isKept(row: row, column: $0) })
        #expect(actual == expected, "row \(row), \(count) of it, \(random)")
      }
    }
  }

  @Test(arguments: sizes, Scores.allCases)
  func columns(size: (rows: Int, columns: Int), scores: Scores) {
    var random = Seeded(UInt64(size.rows * 1000 + size.columns))
    let values = scores.draw(size.rows * size.columns, &random)
    for share in Self.shares {
      let count = Int(share * Double(size.rows))
      let mask = matrix(values, rows: size.rows, columns: size.columns).pruningColumns(count)
      for column in 0..<size.columns {
        let expected = smallest((0..<size.rows).map { values[$0 * size.columns + column] }, count)
        let actual = Set((0..<size.rows).filter { !mask.isKept(row: $0, column: column) })
        #expect(actual == expected, "column \(column), \(count) of it, \(random)")
      }
    }
  }

  @Test(arguments: sizes, Scores.allCases)
  func wholeMatrix(size: (rows: Int, columns: Int), scores: Scores) {
    var random = Seeded(UInt64(size.rows * 1000 + size.columns))
    let values = scores.draw(size.rows * size.columns, &random)
    let matrix = matrix(values, rows: size.rows, columns: size.columns)
    let census = ScoreCensus([matrix], pool: Self.pool)
    #expect(census.count == values.count)
    let sorted = values.sorted()
    for count in Set(Self.shares.map { Int($0 * Double(values.count)) } + [1, values.count]) where count > 0 {
      let threshold = census.threshold(pruning: count, pool: Self.pool)
      let expected = smallest(values, count)
      #expect(pruned(matrix.pruningBelow(threshold)) == expected, "\(count) of \(values.count), \(random)")
      #expect(matrix.ties(at: threshold) == values.count { $0 == sorted[count - 1] })
      #expect(threshold.ties == expected.count { values[$0] == sorted[count - 1] })
      #expect(census.score(rank: count - 1, pool: Self.pool) == sorted[count - 1], "\(random)")
    }
  }

  /// Ranks over several matrices together.
  @Test(arguments: Scores.allCases)
  func censusOfSeveral(scores: Scores) {
    var random = Seeded(5)
    let matrices = [(3, 31), (1, 1), (20, 7)].map { rows, columns in
      matrix(scores.draw(rows * columns, &random), rows: rows, columns: columns)
    }
    let census = ScoreCensus(matrices, pool: Self.pool)
    let sorted = matrices.flatMap { Array($0.values.readOnly) }.sorted()
    #expect(census.count == sorted.count)
    for rank in [0, 1, sorted.count / 2, sorted.count - 1] {
      #expect(census.score(rank: rank, pool: Self.pool) == sorted[rank], "rank \(rank), \(random)")
    }
  }

  @Test(arguments: sizes, Scores.allCases)
  func ranks(size: (rows: Int, columns: Int), scores: Scores) {
    var random = Seeded(UInt64(size.rows * 1000 + size.columns))
    let values = scores.draw(size.rows * size.columns, &random)
    let expected = values.map { value in
      let below = values.count { $0 < value }, equal = values.count { $0 == value }
      return Float(below) + Float(equal - 1) / 2
    }
    let ranks = matrix(values, rows: size.rows, columns: size.columns).ranks()
    #expect(Array(ranks.readOnly) == expected, "\(random)")
  }

  @Test(arguments: [1, 7, 31, 33, 100, 1023, 1025, 5000])
  func range(count: Int) throws {
    var random = Seeded(UInt64(count))
    let values = random.floats(count)
    let range = try #require(matrix(values, rows: 1, columns: count).range)
    #expect(range.minimum == values.min() && range.maximum == values.max(), "\(random)")
    let mean = values.reduce(0) { $0 + Double($1) } / Double(count)
    #expect(abs(range.mean - mean) <= 1e-6, "\(random)")
    for place in Set([0, count / 2, count - 1]) {
      var broken = values
      broken[place] = .nan
      let matrix = matrix(broken, rows: 1, columns: count)
      #expect(matrix.range == nil && matrix.firstNaN == place)
    }
  }

  @Test func rangeOfInfinities() throws {
    let range = try #require(matrix([1, .infinity, -.infinity, 2], rows: 2, columns: 2).range)
    #expect(range.minimum == -.infinity && range.maximum == .infinity && range.mean.isNaN)
  }
}

@Suite struct GroupSelectionTests {
  static func goldenTable() throws -> Golden {
    try Golden(Repository.goldens(of: "TensorsTests") + "/topk.golden.safetensors")
  }

  static let patterns: [String] = {
    let names = (try? goldenTable().names) ?? []
    return names.filter { $0.hasPrefix("scores ") }.map { String($0.dropFirst(7)) }.sorted()
  }()

  @Test func goldenHasPatterns() { #expect(Self.patterns.count == 21) }

  /// Ties are broken as torch.topk breaks them on a CPU, for all that it is no rule: masks of the published methods
  /// come from there.
  @Test(arguments: patterns)
  func agreesWithTopK(pattern: String) throws {
    let golden = try Self.goldenTable()
    let scores = try golden.numbers("scores \(pattern)")
    let prune = try #require(pattern.split(separator: ":").first.flatMap { Int($0) })
    let (groups, size) = (scores.shape[0], scores.shape[1])
    let mask = matrix(scores.values.map { Float($0) }, rows: groups, columns: size)
      .pruningGroups(prune, of: size, pool: SelectionTests.pool)
    let chosen = pruned(mask)
    let bits = (0..<groups * size).map { chosen.contains($0) ? 1.0 : 0 }
    let found = try golden.difference(
      Numbers(bits, dtype: .u8, shape: scores.shape), from: "chosen \(pattern)", .exact)
    #expect(found == nil)
  }

  /// Without ties there is one answer.
  @Test(arguments: [(1, 2), (2, 4), (1, 3), (4, 8), (7, 8), (3, 100), (128, 256)], [1, 3])
  func smallestOfEveryGroup(pattern: (prune: Int, of: Int), rows: Int) {
    var random = Seeded(UInt64(pattern.of))
    let columns = 5 * pattern.of
    let values = random.floats(rows * columns)
    let mask = matrix(values, rows: rows, columns: columns)
      .pruningGroups(pattern.prune, of: pattern.of, pool: SelectionTests.pool)
    let expected = stride(from: 0, to: values.count, by: pattern.of).flatMap { start in
      smallest(Array(values[start..<start + pattern.of]), pattern.prune).map { $0 + start }
    }
    #expect(pruned(mask) == Set(expected), "\(random)")
  }
}
