// One tensor's scores in a few numbers.

import Tensors

/// Exact order statistics and a histogram of a tensor's scores.
package struct ScoreSummary: Sendable, Equatable {
  package static let quantileFractions = [0.05, 0.25, 0.5, 0.75, 0.95]
  package static let histogramBins = 32

  package let minimum: Float
  package let maximum: Float
  package let mean: Double
  /// The scores of the ranks floor(fraction * (n - 1)), by `quantileFractions`.
  package let quantiles: [Float]
  /// Counts in `histogramBins` bins of equal width from minimum to maximum; infinite scores fall into the outermost.
  package let histogram: [Int]

  /// Nil if a score is NaN.
  init?(_ matrix: ScoreMatrix, pool: ComputePool) {
    guard let range = matrix.range else { return nil }
    (minimum, maximum, mean) = range
    let census = ScoreCensus([matrix], pool: pool)
    quantiles = Self.quantileFractions.map {
      census.score(rank: Int($0 * Double(matrix.elementCount - 1)), pool: pool)
    }
    var bins = [Int](repeating: 0, count: Self.histogramBins)
    let last = Float(Self.histogramBins - 1)
    let scale = maximum > minimum ? Float(Self.histogramBins) / (maximum - minimum) : 0
    for value in matrix.values.readOnly {
      let place = (value - minimum) * scale  // NaN only if infinities meet; then the comparison below gives bin 0
      bins[place > 0 ? Int(min(place, last)) : 0] += 1
    }
    histogram = bins
  }
}
