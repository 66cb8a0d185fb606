// The divergence of rows of logits against its formula in double.

import CKernels
import CKernelsDouble
import Glibc
import Tensors
import TestSupport
import Testing

@Suite struct DivergenceKernelTests {
  private static func logSoftmax(_ row: [Float]) -> [Double] {
    let largest = Double(row.max() ?? 0)
    let sum = log(row.reduce(0) { $0 + exp(Double($1) - largest) })
    return row.map { Double($0) - largest - sum }
  }

  private static func expected(_ logits: [Float], from reference: [Float]) -> Double {
    zip(logSoftmax(reference), logSoftmax(logits)).reduce(0) { $0 + (exp($1.0) == 0 ? 0 : exp($1.0) * ($1.0 - $1.1)) }
  }

  @Test(arguments: [1, 7, 32, 33, 2049, 5000], [0.01, 1, 6, 20])
  func everySize(V: Int, scale: Double) throws {
    var random = Seeded(UInt64(V))
    let N = 5, compute = try RowOperationTests.compute(threads: 2)
    let reference = random.floats(N * V, scale: scale)
    let logits = zip(reference, random.floats(N * V, scale: scale / 2)).map { $0 + $1 + 3 }
    var targets = (0..<N).map { _ in Int32(random.int(in: 0...V - 1)) }
    targets[2] = -1
    let rows = try compute.divergences(
      logits, from: reference, targets: targets, vocabulary: V, cancellation: Cancellation())
    #expect(rows.map { $0 == nil } == targets.map { $0 < 0 })
    for (row, target) in targets.enumerated() where target >= 0 {
      let own = Array(logits[row * V..<(row + 1) * V]), other = Array(reference[row * V..<(row + 1) * V])
      let actual = try #require(rows[row])
      let values = [actual.divergence, actual.loss, actual.referenceLoss]
      let wanted = [
        Self.expected(own, from: other), -Self.logSoftmax(own)[Int(target)], -Self.logSoftmax(other)[Int(target)],
      ]
      // A unit in the last place of the distance between the rows.
      let tolerance = Tolerance(absolute: 4e-7 * max(1, scale), relative: 3e-6)
      #expect(difference(Numbers(values), Numbers(wanted), tolerance) == nil, "\(random), row \(row)")
      #expect(actual.sameTopToken == (own.firstIndex(of: own.max() ?? 0) == other.firstIndex(of: other.max() ?? 0)))
      #expect(actual.divergence >= 0)
    }
  }

  /// The sources in double give the formula to the last digits, also where the two rows nearly agree.
  @Test(arguments: [7, 100, 1000], [1e-6, 1e-3, 1])
  func inDouble(V: Int, distance: Double) {
    var random = Seeded(UInt64(V))
    let reference = (0..<V).map { _ in 3 * random.normal() }, logits = reference.map { $0 + distance * random.normal() }
    var sums = (0.0, 0.0)
    let actual = ck_divergence_f64(&sums.0, &sums.1, reference, logits, V)
    func normalised(_ row: [Double]) -> [Double] {
      let sum = log(row.reduce(0) { $0 + exp($1) })
      return row.map { $0 - sum }
    }
    let expected = zip(normalised(reference), normalised(logits)).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) }
    #expect(abs(actual - expected) < 1e-12 * max(1, expected), "\(random)")
  }

  /// Equal rows are no distance apart, to the bit; a row and itself moved as a whole are next to none.
  @Test(arguments: [1, 33, 2049, 49152])
  func equalRows(V: Int) {
    var random = Seeded(UInt64(V))
    let row = random.floats(V, scale: 8), moved = row.map { $0 + 64 }
    var sums = (0.0, 0.0)
    #expect(ck_divergence(&sums.0, &sums.1, row, row, V) == 0 && sums.0 == sums.1)
    #expect(ck_divergence(&sums.0, &sums.1, row, moved, V) < 1e-5)
  }

  @Test func extremes() {
    func divergence(_ reference: [Float], _ logits: [Float]) -> Double {
      var sums = (0.0, 0.0)
      return ck_divergence(&sums.0, &sums.1, reference, logits, reference.count)
    }
    #expect(abs(divergence([100, -100], [-100, 100]) - 200) < 1e-4)
    #expect(divergence([0, -.infinity], [0, -.infinity]) == 0)
    #expect(abs(divergence([0, -.infinity], [0, 0]) - log(2)) < 1e-6)
    #expect(divergence([0, 0], [0, -.infinity]) == .infinity)
    #expect(divergence([.nan, 0], [0, 0]).isNaN && divergence([0, 0], [0, .nan]).isNaN)
  }
}
