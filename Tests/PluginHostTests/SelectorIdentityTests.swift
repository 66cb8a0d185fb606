// What criteria have in common, as masks: identities that hold whatever the weights are.

import Compression
import Foundation
import OrderedCollections
import PluginHost
import TestSupport
import Tensors
import Testing

@Suite struct SelectorIdentityTests {
  static let pool = ComputePool(threads: 2)

  static func mask(_ scores: ScoreMatrix, _ sparsity: Double, _ group: MaskGroup) throws -> MaskBits {
    let masks = try selectMasks(
      ["it": scores], target: SparsityTarget(ratio: sparsity), group: group, pool: pool, monitor: Monitor())
    return try #require(masks["it"])
  }

  /// A larger matrix, with moments alone.
  static func patient(rows: Int = 64, columns: Int = 160) -> Patient {
    let sample = Sample(rows: rows, columns: columns)
    return Patient(
      tensor: "it", rows: rows, columns: columns, weights: FloatBuffer(sample.weights),
      statistics: MatrixStatistics(input: InputStatistics(moments: sample.moments)),
      rewards: FloatBuffer(sample.weights))
  }

  static func bits(_ scores: ScoreMatrix) -> [UInt32] { scores.values.readOnly.map(\.bitPattern) }

  @Test(arguments: [0.25, 0.5, 0.7])
  func wandaWithConstantNormsIsMagnitudeByRow(sparsity: Double) throws {
    var patient = Self.patient()
    let wanda = try patient.scores("wanda")
    patient.statistics.input.moments?.sumOfSquares = Array(repeating: 28, count: patient.columns)  // norm 2
    let constant = try patient.scores("wanda")
    let magnitude = try Self.mask(patient.scores("magnitude"), sparsity, .row)
    #expect(try Self.mask(constant, sparsity, .row) == magnitude)
    #expect(try Self.mask(wanda, sparsity, .row) != magnitude)
  }

  @Test(arguments: [0.25, 0.5, 0.7])
  func withinColumnsMagnitudeAndWandaAgree(sparsity: Double) throws {
    var patient = Self.patient()
    // Inputs that say nothing have one score, so their columns lose the first weights: not of interest here.
    patient.statistics.input.moments?.sumOfSquares = (0..<patient.columns).map { Double($0 + 1) * 7 }
    let (magnitude, wanda) = (try patient.scores("magnitude"), try patient.scores("wanda"))
    #expect(try Self.mask(wanda, sparsity, .column) == Self.mask(magnitude, sparsity, .column))
    #expect(try Self.mask(wanda, sparsity, .matrix) != Self.mask(magnitude, sparsity, .matrix))
  }

  @Test(arguments: [0.1, 0.5, 0.9])
  func mamaOfTheAuthorsIsMagnitudeWithAnExactCount(sparsity: Double) throws {
    let patient = Self.patient()
    let diagnostics = Diagnostics()
    let scores = try patient.scores("mama", ["mode": "authors-2024"], diagnostics: diagnostics)
    #expect(try Self.bits(scores) == Self.bits(patient.scores("magnitude")))
    let said = diagnostics.all.kept
    #expect(said.map(\.kind) == ["equalsMagnitude"])
    #expect(said.map(\.severity) == [.warning])
    #expect(said.map(\.tensor) == ["it"])

    // Exact top-k by sorting, ties in order.
    let weights = Array(patient.weights.readOnly)
    let order = weights.indices.sorted { (abs(weights[$0]), $0) < (abs(weights[$1]), $1) }
    let pruned = Set(order.prefix(Int(Double(weights.count) * sparsity)))
    let mask = try Self.mask(scores, sparsity, .matrix)
    for index in weights.indices {
      let kept = mask.isKept(row: index / patient.columns, column: index % patient.columns)
      #expect(kept == !pruned.contains(index))
    }
  }

  @Test func mamaWithoutNormalisationIsWandaOrMagnitudeToTheBit() throws {
    let patient = Self.patient()
    let none = ["normalisation": "none", "scale": "norm"]
    #expect(try Self.bits(patient.scores("mama", none)) == Self.bits(patient.scores("wanda")))
    #expect(
      try Self.bits(patient.scores("mama", none, given: "nothing")) == Self.bits(patient.scores("magnitude")))
  }

  /// A positive factor for each row leaves a row's order as it is, but not that of the matrix.
  @Test func theMeanOfRowsKeepsTheOrderWithinThem() throws {
    let patient = Self.patient()
    let (mama, wanda) = (try patient.scores("mama", ["scale": "norm"]), try patient.scores("wanda"))
    #expect(try Self.mask(mama, 0.5, .row) == Self.mask(wanda, 0.5, .row))
    #expect(try Self.mask(mama, 0.5, .matrix) != Self.mask(wanda, 0.5, .matrix))
    let byMatrix = try patient.scores("mama", ["scope": "matrix", "scale": "norm"])
    #expect(try Self.mask(byMatrix, 0.5, .matrix) == Self.mask(wanda, 0.5, .matrix))
  }

  private static let needs: [([String: String], Bool, StatisticsNeed)] = [
    ([:], true, [.moments, .gram]), (["scale": "norm"], true, .moments), ([:], false, .none), (["mode": "authors-2024"], true, .none),
    (["movementWeight": "1"], true, [.moments, .gram, .gradients]), (["movementWeight": "1"], false, .gradients),
    (["movementWeight": "1", "magnitudeWeight": "0"], true, .gradients), (["magnitudeWeight": "0"], true, .none),
  ]

  @Test(arguments: needs)
  func mamaAsksForWhatItNeeds(settings: [String: String], hasDataset: Bool, need: StatisticsNeed) throws {
    let selector = try BundledPluginTests.registry().selector(id: "mama")
    let parameters = try selector.description.method.parameters.map { try $0.value(settings[$0.name]) }
    #expect(selector.statistics(parameters: parameters, hasDataset: hasDataset) == need)
    #expect(selector.description.terms == ["reward"])
    #expect(selector.description.compensator == "least-squares")
  }

  /// The published variant: bisects for alpha in double on Wanda's scores, with its cumulated sums and thresholds.
  private static func bisect(_ scores: ScoreMatrix, sparsity: Double) -> (alpha: Double, counts: [Int]) {
    let rows = (0..<scores.rows).map { row in
      (0..<scores.columns).map { Double(scores[row, $0]) }.sorted()
    }
    func counts(_ alpha: Double) -> [Int] {
      rows.map { sorted in
        let limit = sorted.reduce(0, +) * alpha
        var sum = 0.0
        return sorted.prefix { value in
          sum += value
          return sum <= limit
        }.count
      }
    }
    let total = Double(scores.elementCount)
    var (low, alpha, high) = (0.0, 0.4, 0.8)
    var found = counts(alpha)
    while abs(Double(found.reduce(0, +)) / total - sparsity) > 0.001, high - low >= 0.001 {
      if Double(found.reduce(0, +)) / total > sparsity { high = alpha } else { low = alpha }
      alpha = (low + high) / 2
      found = counts(alpha)
    }
    return (alpha, found)
  }

  @Test(arguments: [0.3, 0.5, 0.6])
  func theVariantsThresholdIsTheBisectedAlpha(sparsity: Double) throws {
    let patient = Self.patient()
    let shares = try patient.scores("wanda-variant")
    let (alpha, counts) = try Self.bisect(patient.scores("wanda"), sparsity: sparsity)
    let within = (0..<shares.rows).map { row in
      (0..<shares.columns).count { Double(shares[row, $0]) <= alpha }
    }
    #expect(within == counts)
    #expect(Set(counts).count > 1, "rows should differ in sparsity")

    // As many weights by one threshold within the matrix: the same from each row.
    let pruned = counts.reduce(0, +)
    let mask = try Self.mask(shares, (Double(pruned) + 0.5) / Double(shares.elementCount), .matrix)
    let lost = (0..<shares.rows).map { row in (0..<shares.columns).count { !mask.isKept(row: row, column: $0) } }
    #expect(lost == counts)
  }
}
