// The policy objective of one token as a function of its log-probability, in double: value and derivative.

import Glibc

/// A token that was drawn, and what is known of it.
package struct PolicyToken: Sendable, Equatable {
  package let token: Int32
  package let advantage: Double
  /// What its loss is multiplied with: one over what the step's normalisation divides by.
  package let weight: Double
  /// Its log-probability when it was drawn; nil if the policy has not moved since: the ratio is then 1.
  package let oldLogProbability: Double?
  /// Under the reference, needed if the divergence has a weight.
  package let referenceLogProbability: Double?

  package init(
    token: Int32, advantage: Double, weight: Double, oldLogProbability: Double? = nil,
    referenceLogProbability: Double? = nil
  ) {
    self.token = token
    self.advantage = advantage
    self.weight = weight
    self.oldLogProbability = oldLogProbability
    self.referenceLogProbability = referenceLogProbability
  }
}

/// The loss of a token, without its weight.
package struct PolicyTokenLoss: Sendable, Equatable {
  /// -min(ratio * A, clip(ratio) * A)
  package let surrogate: Double
  /// The estimate of the divergence, corrected if that was asked for; 0 without a reference.
  package let divergence: Double
  /// The derivative of surrogate + weight of the divergence * divergence in the token's log-probability.
  package let slope: Double
  package let ratio: Double
  /// Whether the ratio was too small, or too large, for the token to have a say.
  package let isClippedLow: Bool
  package let isClippedHigh: Bool

  /// - Parameter logProbability: of the token under the policy at the temperature of sampling.
  package init(_ token: PolicyToken, logProbability: Double, _ options: PolicyOptions) {
    let ratio = token.oldLogProbability.map { exp(logProbability - $0) } ?? 1
    let low = 1 - options.clip, high = 1 + (options.clipHigh ?? options.clip), A = token.advantage
    isClippedLow = ratio < low && A < 0
    isClippedHigh = ratio > high && A > 0
    // 0 * infinity is no number, and nothing to learn.
    let gain = A == 0 ? 0 : (isClippedLow ? low : isClippedHigh ? high : ratio) * A
    surrogate = -gain
    self.ratio = ratio
    var slope = isClippedLow || isClippedHigh ? 0 : -gain
    var divergence = 0.0
    if let reference = token.referenceLogProbability, options.divergenceWeight > 0 {
      let logRatio = reference - logProbability
      var derivative: Double
      switch options.estimator {
      case .k1: (divergence, derivative) = (-logRatio, 1)
      case .k2: (divergence, derivative) = (logRatio * logRatio / 2, -logRatio)
      case .k3: (divergence, derivative) = (expm1(logRatio) - logRatio, -expm1(logRatio))
      }
      if options.correctsBias {
        // d(ratio * k) = ratio * (k + k')
        derivative = ratio * (divergence + derivative)
        divergence *= ratio
      }
      slope += options.divergenceWeight * derivative
    }
    self.divergence = divergence
    self.slope = slope
  }
}
