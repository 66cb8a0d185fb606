// What learning from rewards is told: clipping, divergence from a reference, and what sums of tokens are divided by.

/// How the divergence KL(student || reference) is estimated from a token that the student drew, with
/// log r = log-probability of the reference - that of the student. (Schulman 2020, "Approximating KL divergence")
package enum DivergenceEstimator: String, Sendable, CaseIterable {
  /// -log r. Its gradient as a loss is 0 in expectation, unless it is corrected for the bias.
  case k1
  /// (log r)² / 2. Its gradient as a loss is that of KL(student || reference).
  case k2
  /// r - 1 - log r. Its value is that of KL(student || reference); its gradient as a loss is that of
  /// KL(reference || student), unless it is corrected for the bias.
  case k3
}

/// What the losses of a step's tokens are divided by.
package enum PolicyNormalisation: String, Sendable, CaseIterable {
  /// The mean over sequences of the mean over their tokens. (Shao et al. 2024, equation 3)
  case grpo
  /// All tokens of the step that count. (Yu et al. 2025, DAPO, equation 8)
  case dapo
  /// Sequences times the most tokens that one may have. (Liu et al. 2025, Dr. GRPO, section 3.2)
  case drGRPO = "dr-grpo"
}

package struct PolicyOptions: Sendable, Equatable {
  /// The ratio to the old policy counts from 1 - clip to 1 + clipHigh.
  package var clip = 0.2
  /// Nil: as `clip`. (DAPO's clip-higher: 0.28)
  package var clipHigh: Double?
  /// Beta, the weight of the divergence from the reference; 0 for none.
  package var divergenceWeight = 0.0
  package var estimator = DivergenceEstimator.k3
  /// Multiplies the estimate by the ratio, gradient included: the gradient of k1 and k3 is then that of
  /// KL(student || reference).
  package var correctsBias = false
  /// What logits are divided by, as they were when tokens were drawn.
  package var temperature = 1.0

  package init() {}

  /// - Throws: `PolicyError.optionsInvalid`.
  package func check() throws(PolicyError) {
    func require(_ condition: Bool, _ expected: String) throws(PolicyError) {
      if !condition { throw .optionsInvalid(expected: expected) }
    }
    try require(clip > 0 && clip < 1, "a clip above 0 and below 1, not \(clip)")
    if let clipHigh { try require(clipHigh > 0 && clipHigh.isFinite, "a high clip above 0, not \(clipHigh)") }
    try require(
      divergenceWeight >= 0 && divergenceWeight.isFinite,
      "a weight of the divergence of at least 0, not \(divergenceWeight)")
    try require(temperature > 0 && temperature.isFinite, "a temperature above 0, not \(temperature)")
  }
}
