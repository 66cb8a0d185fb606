// How far two criteria agree, tensor by tensor.

package import OrderedCollections
package import Tensors

/// The agreement of two scores of one tensor.
package struct TensorAgreement: Sendable, Equatable {
  /// Spearman's rank correlation, -1...1; NaN if one of the scores is constant. (Spearman 1904; ties share mean ranks)
  package let rankCorrelation: Double
  /// Fraction of weights that both masks treat alike.
  package let maskAgreement: Double
  /// Weights that both prune, over weights that either prunes; 1 if neither prunes any. (Jaccard index)
  package let prunedOverlap: Double
}

/// Compares two scores of the same tensors.
/// - Parameters:
///   - target: the sparsity at which masks are compared.
///   - group: nil compares each within its own method's group.
/// - Throws: `CompressionError.scoresNotComparable` if they have no tensor in common, or of another shape; `Cancelled`.
package func compare(
  _ a: ScoreSet, _ b: ScoreSet, target: SparsityTarget, group: MaskGroup?, pool: ComputePool, monitor: Monitor
) throws -> OrderedDictionary<String, TensorAgreement> {
  let names = a.tensors.keys.filter { b.tensors[$0] != nil }
  guard !names.isEmpty else { throw CompressionError.scoresNotComparable(reason: "they have no tensor in common") }
  func common(_ set: ScoreSet) -> OrderedDictionary<String, ScoreMatrix> {
    OrderedDictionary(uniqueKeysWithValues: names.compactMap { name in set.tensors[name].map { (name, $0.matrix) } })
  }
  let first = common(a), second = common(b)
  for (name, matrix) in first {
    guard let other = second[name], other.rows == matrix.rows, other.columns == matrix.columns else {
      throw CompressionError.scoresNotComparable(reason: "\"\(name)\" has different shapes in the two")
    }
  }
  let firstMasks = try selectMasks(
    first, target: target, group: group ?? a.defaultGroup, pool: pool, monitor: monitor)
  let secondMasks = try selectMasks(
    second, target: target, group: group ?? b.defaultGroup, pool: pool, monitor: monitor)
  var results = [TensorAgreement?](repeating: nil, count: names.count)
  results.withUnsafeMutableBufferPointer { results in
    pool.parallelFor(names.count, cancellation: monitor.cancellation) { index, _ in
      let name = names[index]
      guard let x = first[name], let y = second[name], let p = firstMasks[name], let q = secondMasks[name] else {
        return
      }
      let difference = MaskDifference(from: p, to: q)
      results[index] = TensorAgreement(
        rankCorrelation: correlation(x.ranks(), y.ranks()), maskAgreement: difference.agreement,
        prunedOverlap: difference.prunedOverlap)
      monitor.report(Double(index + 1) / Double(names.count), "comparing \(name)")
    }
  }
  try monitor.checkCancelled()
  return OrderedDictionary(uniqueKeysWithValues: zip(names, results.compactMap { $0 }))
}

/// Pearson's correlation in double; NaN if one is constant.
private func correlation(_ x: FloatBuffer, _ y: FloatBuffer) -> Double {
  let mean = Double(x.count - 1) / 2  // of ranks 0...n-1, ties or not
  var xy = 0.0, xx = 0.0, yy = 0.0
  for (a, b) in zip(x.readOnly, y.readOnly) {
    let a = Double(a) - mean, b = Double(b) - mean
    xy += a * b
    xx += a * a
    yy += b * b
  }
  return xx > 0 && yy > 0 ? xy / (xx * yy).squareRoot() : .nan
}
