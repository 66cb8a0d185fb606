// The loss of group-relative policy optimisation over rows of logits. (Shao et al. 2024, arXiv 2402.03300, equation 3;
// Yu et al. 2025, arXiv 2503.14476; Liu et al. 2025, arXiv 2503.20783)

package import Tensors
import Transformers

/// For every row whose next token was drawn, with q = softmax(z / T) and x = log q of the token:
///
///     loss = weight * (-min(rho A, clip(rho) A) + beta k(x)),   rho = exp(x - x_old)
///     dloss/dz = weight * d(...)/dx * (onehot - q) / T
///
/// Used for one pass over the rows, on several threads; afterwards it has their metrics. The sum that a pass returns is
/// that of losses with their weights, so nothing is left to divide by.
package final class PolicyLoss: LogitLoss {
  package let options: PolicyOptions
  /// For each row of the batch; nil where it predicts nothing that counts.
  package let rows: [PolicyToken?]
  private let outcomes: UnsafeMutableBufferPointer<(loss: PolicyTokenLoss, entropy: Double)?>

  /// - Parameter rows: tokens in 0..<vocabulary, checked by the caller.
  package init(_ rows: [PolicyToken?], options: PolicyOptions) {
    self.options = options
    self.rows = rows
    outcomes = .allocate(capacity: rows.count)
    outcomes.initialize(repeating: nil)
  }

  deinit { outcomes.deallocate() }

  /// Of the rows that were gone through, added up in their order.
  package var metrics: PolicyMetrics {
    var metrics = PolicyMetrics()
    for (row, outcome) in zip(rows, outcomes) {
      guard let row, let outcome else { continue }
      metrics.add(
        outcome.loss, weight: row.weight, divergenceWeight: options.divergenceWeight, entropy: outcome.entropy)
    }
    return metrics
  }

  package func overwriteWithGradient(
    _ logits: UnsafeMutablePointer<Float>, rows range: Range<Int>, vocabulary V: Int, compute: Compute,
    cancellation: Cancellation
  ) throws(Cancelled) -> Double {
    try compute.sumOverRows(range.count, cancellation: cancellation) { place in
      overwrite(logits + place * V, row: range.lowerBound + place, vocabulary: V)
    }
  }

  /// The same for one row. Rows may be done on several threads at a time.
  private func overwrite(_ z: UnsafeMutablePointer<Float>, row: Int, vocabulary V: Int) -> Double {
    guard let token = rows[row]?.token else {
      z.update(repeating: 0, count: V)
      return 0
    }
    if options.temperature != 1 {
      let scale = Float(1 / options.temperature)
      for index in 0..<V { z[index] *= scale }
    }
    let logSum = Compute.logSumExp(z, count: V), logProbability = Double(z[Int(token)]) - logSum
    return withUnsafeTemporaryAllocation(of: Float.self, capacity: V) { buffer in
      guard let q = buffer.baseAddress else { return 0 }
      Compute.softmax(q, z, count: V, temperature: 1)
      var mean = 0.0
      for index in 0..<V where q[index] > 0 { mean += Double(q[index]) * Double(z[index]) }
      let (loss, slope) = evaluate(row: row, logProbability: logProbability, entropy: logSum - mean)
      let factor = Float(-slope / options.temperature)
      for index in 0..<V { z[index] = factor * q[index] }
      z[Int(token)] = Float(slope / options.temperature * (1 - Double(q[Int(token)])))
      return loss
    }
  }

  /// Adds one row's part to a gradient that other objectives have a part in.
  ///
  /// Rows may be done on several threads at a time.
  /// - Parameters:
  ///   - student: what the student expects at the temperature of sampling, `[V]`.
  ///   - gradient: `[V]`, of the logits divided by the temperature; added to.
  /// - Returns: the row's loss with its weight; 0 for a row that predicts nothing that counts.
  package func add(
    row: Int, _ student: Prediction.Distribution, vocabulary V: Int, to gradient: UnsafeMutablePointer<Float>
  ) -> Double {
    guard let token = rows[row]?.token else { return 0 }
    let q = student.probabilities, logs = student.logProbabilities
    var entropy = 0.0
    for index in 0..<V where q[index] > 0 { entropy -= Double(q[index]) * Double(logs[index]) }
    let (loss, slope) = evaluate(row: row, logProbability: Double(logs[Int(token)]), entropy: entropy)
    let factor = Float(-slope)
    for index in 0..<V { gradient[index] += factor * q[index] }
    gradient[Int(token)] += Float(slope)
    return loss
  }

  /// The loss of a row with its weight, and the weighted derivative in the token's log-probability.
  private func evaluate(row: Int, logProbability: Double, entropy: Double) -> (loss: Double, slope: Double) {
    guard let token = rows[row] else { return (0, 0) }
    let loss = PolicyTokenLoss(token, logProbability: logProbability, options)
    outcomes[row] = (loss, entropy)
    return (
      token.weight * (loss.surrogate + options.divergenceWeight * loss.divergence), token.weight * loss.slope
    )
  }
}
