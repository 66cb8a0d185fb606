// Scores into masks: the exact sparsity of every group, the smallest in every group, and what cannot be divided.

import Compression
import OrderedCollections
import Tensors
import TestSupport
import Testing

@Suite struct MaskSelectionTests {
  static let shapes = [(5, 40), (1, 8), (16, 16), (7, 24)]

  /// Four matrices; every other seed has many ties.
  static func draw(_ random: inout Seeded) -> OrderedDictionary<String, ScoreMatrix> {
    var matrices: OrderedDictionary<String, ScoreMatrix> = [:]
    for (index, (rows, columns)) in shapes.enumerated() {
      let values = random.seed % 2 == 0 ? random.tied(rows * columns, levels: 4) : random.floats(rows * columns)
      matrices["t\(index)"] = scores(values, rows: rows, columns: columns)
    }
    return matrices
  }

  static func select(
    _ matrices: OrderedDictionary<String, ScoreMatrix>, _ target: SparsityTarget, _ group: MaskGroup
  ) throws -> OrderedDictionary<String, MaskBits> {
    try selectMasks(matrices, target: target, group: group, pool: Engine.pool, monitor: Monitor())
  }

  static func smallest(_ scores: [Float], _ count: Int) -> Set<Int> {
    Set(scores.indices.sorted { (scores[$0], $0) < (scores[$1], $1) }.prefix(count))
  }

  /// The places of each set of weights that compete with each other, as (tensor, index).
  static func sets(_ matrices: OrderedDictionary<String, ScoreMatrix>, _ group: MaskGroup) -> [[(String, Int)]] {
    let perTensor = matrices.map { name, matrix in (0..<matrix.elementCount).map { (name, $0) } }
    return switch group {
    case .global: [perTensor.flatMap { $0 }]
    case .matrix: perTensor
    case .row:
      zip(perTensor, matrices.values).flatMap { places, matrix in
        (0..<matrix.rows).map { row in Array(places[row * matrix.columns..<(row + 1) * matrix.columns]) }
      }
    case .column:
      zip(perTensor, matrices.values).flatMap { places, matrix in
        (0..<matrix.columns).map { column in (0..<matrix.rows).map { places[$0 * matrix.columns + column] } }
      }
    }
  }

  /// The reference's threshold for magnitude: sorted[floor(size * ratio)], and all that is not above it.
  @Test(arguments: [MaskGroup.matrix, .global], [1, 2, 3, 4] as [UInt64])
  func allTiesGoWithTheBoundary(group: MaskGroup, seed: UInt64) throws {
    var random = Seeded(seed)
    let matrices = Self.draw(&random)
    for ratio in [0, 0.1, 0.29, 0.5, 0.75, 1] {
      let masks = try selectMasks(
        matrices, target: .ratio(ratio), group: group, ties: .all, pool: Engine.pool, monitor: Monitor())
      for set in Self.sets(matrices, group) {
        let values = set.map { name, index in matrices[name]?.values.readOnly[index] ?? .nan }
        let count = Int(Double(set.count) * ratio)
        let threshold = values.sorted()[min(count, values.count - 1)]
        let lost = try set.map { name, index in try #require(masks[name].map(pruned)).contains(index) }
        #expect(lost == values.map { count > 0 && $0 <= threshold }, "\(ratio)")
      }
    }
  }

  @Test func tiesOfRowsAndPatternsAreSharedOut() {
    #expect(Ties.all.applies(to: .ratio(0.5), in: .matrix) && Ties.all.applies(to: .ratio(0.5), in: .global))
    #expect(!Ties.all.applies(to: .ratio(0.5), in: .row) && !Ties.all.applies(to: .ratio(0.5), in: .column))
    #expect(!Ties.all.applies(to: .pattern(prune: 2, of: 4), in: .matrix))
    #expect(Ties.first.applies(to: .pattern(prune: 2, of: 4), in: .row))
  }

  /// In every set exactly floor(size * ratio), and the smallest of them, the first among equals.
  @Test(arguments: MaskGroup.allCases, [1, 2, 3, 4] as [UInt64])
  func everyGroupLosesExactlyItsShare(group: MaskGroup, seed: UInt64) throws {
    var random = Seeded(seed)
    let matrices = Self.draw(&random)
    for ratio in [0, 0.1, 0.29, 0.5, 0.6, 0.75, 0.999, 1] {
      let masks = try Self.select(matrices, .ratio(ratio), group)
      #expect(Array(masks.keys) == Array(matrices.keys))
      let lost = masks.mapValues(pruned)
      for set in Self.sets(matrices, group) {
        let values = set.map { name, index in matrices[name]?.values.readOnly[index] ?? .nan }
        let expected = Self.smallest(values, Int(Double(set.count) * ratio))
        let actual = Set(set.indices.filter { lost[set[$0].0]?.contains(set[$0].1) == true })
        #expect(actual == expected, "\(group) \(ratio) of \(set.count), \(random)")
      }
    }
  }

  @Test(arguments: [(2, 4), (1, 2), (1, 4), (4, 8), (7, 8)], MaskGroup.allCases)
  func patternsPruneTheSameOfEveryGroup(pattern: (prune: Int, of: Int), group: MaskGroup) throws {
    var random = Seeded(2)
    let matrices = Self.draw(&random)
    let masks = try Self.select(matrices, .pattern(prune: pattern.prune, of: pattern.of), group)
    for (name, mask) in masks {
      let matrix = try #require(matrices[name])
      for start in stride(from: 0, to: matrix.elementCount, by: pattern.of) {
        let places = start..<start + pattern.of
        let lost = pruned(mask).intersection(places)
        #expect(lost.count == pattern.prune, "\(name) at \(start), \(random)")
        let highest = lost.map { matrix.values.readOnly[$0] }.max() ?? 0
        let kept = Set(places).subtracting(lost).map { matrix.values.readOnly[$0] }.min() ?? 0
        #expect(highest <= kept, "\(name) at \(start), \(random)")
      }
    }
  }

  @Test func patternThatDoesNotDivideNamesTheTensor() throws {
    var random = Seeded(1)
    var matrices = Self.draw(&random)
    matrices["odd"] = scores([Float](repeating: 1, count: 30), rows: 3, columns: 10)
    let error = #expect(throws: CompressionError.self) { try Self.select(matrices, .pattern(prune: 2, of: 4), .row) }
    #expect(error == .patternDoesNotDivide(pattern: "2:4", tensor: "odd", columns: 10))
  }

  /// Pruned weights score zero the next time; the same target then prunes the same weights.
  @Test(arguments: MaskGroup.allCases)
  func pruningTwiceIsPruningOnce(group: MaskGroup) throws {
    var random = Seeded(7)
    let positive = Self.draw(&random).mapValues { matrix in
      scores(matrix.values.readOnly.map { $0.magnitude + 0.1 }, rows: matrix.rows, columns: matrix.columns)
    }
    for target in [SparsityTarget.ratio(0.5), .ratio(0.3), .pattern(prune: 2, of: 4)] {
      let masks = try Self.select(positive, target, group)
      var again: OrderedDictionary<String, ScoreMatrix> = [:]
      for (name, matrix) in positive {
        let lost = pruned(try #require(masks[name]))
        let values = matrix.values.readOnly.enumerated().map { lost.contains($0) ? 0 : $1 }
        again[name] = scores(values, rows: matrix.rows, columns: matrix.columns)
      }
      #expect(try Self.select(again, target, group) == masks, "\(group) \(target), \(random)")
    }
  }

  /// A higher sparsity prunes what a lower one pruned, and more.
  @Test(arguments: MaskGroup.allCases)
  func masksAreNested(group: MaskGroup) throws {
    var random = Seeded(4)
    let matrices = Self.draw(&random)
    var before: [Set<Int>] = Self.shapes.map { _ in [] }
    for ratio in stride(from: 0.05, through: 1, by: 0.05) {
      let lost = try Self.select(matrices, .ratio(ratio), group).values.map(pruned)
      for (small, large) in zip(before, lost) { #expect(small.isSubset(of: large), "\(group) \(ratio), \(random)") }
      before = lost
    }
  }

  @Test func noTensorsNoMasks() throws {
    for group in MaskGroup.allCases { #expect(try Self.select([:], .ratio(0.5), group).isEmpty) }
  }

  @Test func cancelledSelectionThrows() {
    var random = Seeded(1)
    let monitor = Monitor()
    monitor.cancellation.cancel()
    let matrices = Self.draw(&random)
    #expect(throws: Cancelled.self) {
      try selectMasks(matrices, target: .ratio(0.5), group: .row, pool: Engine.pool, monitor: monitor)
    }
  }
}
