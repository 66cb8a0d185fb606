// Agreement of two criteria: Spearman's correlation against its definition, and masks against counting.

import OrderedCollections
import Tensors
import TestSupport
import Testing

@testable import Compression

@Suite struct ScoreComparisonTests {
  static func set(_ matrices: OrderedDictionary<String, ScoreMatrix>, group: MaskGroup = .matrix) throws -> ScoreSet {
    let provenance = ScoreProvenance(
      model: "m", revision: "r0", plugin: "p", pluginVersion: "1", parameters: [:], dataset: nil)
    var tensors: OrderedDictionary<String, TensorScores> = [:]
    for (name, matrix) in matrices {
      let summary = try #require(ScoreSummary(matrix, pool: Engine.pool))
      tensors[name] = TensorScores(matrix: matrix, summary: summary)
    }
    return ScoreSet(provenance: provenance, defaultGroup: group, tensors: tensors)
  }

  static func compared(
    _ a: [Float], _ b: [Float], rows: Int = 1, target: SparsityTarget = .ratio(0.5), group: MaskGroup? = nil
  ) throws -> TensorAgreement {
    let x = scores(a, rows: rows, columns: a.count / rows), y = scores(b, rows: rows, columns: b.count / rows)
    return try #require(
      try compare(
        try set(["t": x]), try set(["t": y]), target: target, group: group, pool: Engine.pool, monitor: Monitor())["t"])
  }

  /// Pearson's correlation of mean ranks.
  static func spearman(_ a: [Float], _ b: [Float]) -> Double {
    func ranks(_ values: [Float]) -> [Double] {
      values.map { value in Double(values.count { $0 < value }) + Double(values.count { $0 == value } - 1) / 2 }
    }
    let x = ranks(a), y = ranks(b), n = Double(a.count)
    let mx = x.reduce(0, +) / n, my = y.reduce(0, +) / n
    let xy = zip(x, y).reduce(0) { $0 + ($1.0 - mx) * ($1.1 - my) }
    let xx = x.reduce(0) { $0 + ($1 - mx) * ($1 - mx) }, yy = y.reduce(0) { $0 + ($1 - my) * ($1 - my) }
    return xy / (xx * yy).squareRoot()
  }

  @Test(arguments: [2, 7, 100, 500], [1, 2, 3] as [UInt64])
  func spearmanByDefinition(count: Int, seed: UInt64) throws {
    var random = Seeded(seed)
    let a = seed == 1 ? random.tied(count, levels: 5) : random.floats(count)
    let noise = random.floats(count)
    let b = zip(a, noise).map { $0 + $1 }
    guard Set(a).count > 1 else { return }
    let result = try Self.compared(a, b)
    #expect(abs(result.rankCorrelation - Self.spearman(a, b)) < 1e-12, "\(random)")
  }

  @Test func perfectReversedAndConstant() throws {
    let up = (0..<50).map { Float($0) }, curved = up.map { $0 * $0 * $0 - 7 }
    #expect(abs(try Self.compared(up, curved).rankCorrelation - 1) < 1e-12)
    #expect(abs(try Self.compared(up, up.reversed()).rankCorrelation + 1) < 1e-12)
    #expect(try Self.compared(up, [Float](repeating: 3, count: 50)).rankCorrelation.isNaN)
    #expect(try Self.compared([1], [2]).rankCorrelation.isNaN)
  }

  @Test func masksAreCompared() throws {
    let a: [Float] = [1, 2, 3, 4], b: [Float] = [1, 4, 3, 2]
    let result = try Self.compared(a, b)  // a prunes 0 and 1, b prunes 0 and 3
    #expect(result.maskAgreement == 0.5)
    #expect(abs(result.prunedOverlap - 1.0 / 3) < 1e-15)
    let nothing = try Self.compared(a, b, target: .ratio(0))
    #expect(nothing.maskAgreement == 1 && nothing.prunedOverlap == 1)
  }

  /// Without a group each method's own is taken; with one, that.
  @Test func groupsOfTheMethods() throws {
    let matrix = scores([1, 2, 3, 4], rows: 2, columns: 2)
    func agreement(_ group: MaskGroup?) throws -> Double {
      let a = try Self.set(["t": matrix], group: .matrix), b = try Self.set(["t": matrix], group: .row)
      return try #require(
        try compare(a, b, target: .ratio(0.5), group: group, pool: Engine.pool, monitor: Monitor())["t"]
      ).maskAgreement
    }
    #expect(try agreement(nil) == 0.5)
    #expect(try agreement(.row) == 1)
    #expect(try agreement(.global) == 1)
  }

  @Test func onlyCommonTensorsInOrder() throws {
    var random = Seeded(1)
    let matrices = (0..<3).map { _ in scores(random.floats(8), rows: 2, columns: 4) }
    let a = try Self.set(["x": matrices[0], "y": matrices[1], "z": matrices[2]])
    let b = try Self.set(["z": matrices[0], "x": matrices[1], "w": matrices[2]])
    let result = try compare(a, b, target: .ratio(0.5), group: nil, pool: Engine.pool, monitor: Monitor())
    #expect(Array(result.keys) == ["x", "z"])
  }

  @Test func incomparable() throws {
    let a = try Self.set(["t": scores([1, 2], rows: 1, columns: 2)])
    let other = try Self.set(["u": scores([1, 2], rows: 1, columns: 2)])
    let turned = try Self.set(["t": scores([1, 2], rows: 2, columns: 1)])
    for b in [other, turned] {
      let error = #expect(throws: CompressionError.self) {
        try compare(a, b, target: .ratio(0.5), group: nil, pool: Engine.pool, monitor: Monitor())
      }
      #expect(error?.kind == "scoresNotComparable")
    }
    let pattern = #expect(throws: CompressionError.self) {
      try compare(a, a, target: .pattern(prune: 2, of: 4), group: nil, pool: Engine.pool, monitor: Monitor())
    }
    #expect(pattern?.kind == "patternDoesNotDivide")
    let monitor = Monitor()
    monitor.cancellation.cancel()
    #expect(throws: Cancelled.self) {
      try compare(a, a, target: .ratio(0.5), group: nil, pool: Engine.pool, monitor: monitor)
    }
  }
}
