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
  /// Counts in `histogramBins` bins of equal width from the smallest to the largest finite score; infinite scores fall
  /// into the outermost.
  package let histogram: [Int]

  /// Nil if a score is NaN.
  init?(_ matrix: ScoreMatrix, pool: ComputePool) {
    guard let range = matrix.range else { return nil }
    (minimum, maximum, mean) = range
    let census = ScoreCensus([matrix], pool: pool)
    quantiles = Self.quantileFractions.map {
      census.score(rank: Int($0 * Double(matrix.elementCount - 1)), pool: pool)
    }
    histogram = Self.histogram(matrix.values.readOnly, minimum: minimum, maximum: maximum)
  }

  private static func histogram(_ scores: UnsafeBufferPointer<Float>, minimum: Float, maximum: Float) -> [Int] {
    var low = Double(minimum), high = Double(maximum)  // in double, where no difference of scores overflows
    if !low.isFinite || !high.isFinite {
      let finite = scores.lazy.filter(\.isFinite)
      low = Double(finite.min() ?? 0)
      high = Double(finite.max() ?? 0)
    }
    var bins = [Int](repeating: 0, count: histogramBins)
    let last = Double(histogramBins - 1)
    let scale = high > low ? Double(histogramBins) / (high - low) : 0
    for score in scores {
      let place = score.isFinite ? (Double(score) - low) * scale : score > 0 ? last : 0
      bins[Int(min(place, last))] += 1
    }
    return bins
  }
}
