// What the tokens of a step looked like to the policy objective.

/// Sums over tokens, which add up over micro-batches, and their means.
package struct PolicyMetrics: Sendable, Equatable {
  package private(set) var tokens = 0
  /// Weights included: the step's loss, and what of it the surrogate and the divergence are.
  package private(set) var loss = 0.0
  package private(set) var surrogateLoss = 0.0
  package private(set) var divergenceLoss = 0.0
  package private(set) var largestRatio = 0.0
  private var ratios = 0.0, divergences = 0.0, entropies = 0.0
  private var clippedLow = 0, clippedHigh = 0

  package init() {}

  mutating func add(_ token: PolicyTokenLoss, weight: Double, divergenceWeight: Double, entropy: Double) {
    tokens += 1
    surrogateLoss += weight * token.surrogate
    divergenceLoss += weight * divergenceWeight * token.divergence
    loss += weight * (token.surrogate + divergenceWeight * token.divergence)
    largestRatio = max(largestRatio, token.ratio)
    ratios += token.ratio
    divergences += token.divergence
    entropies += entropy
    clippedLow += token.isClippedLow ? 1 : 0
    clippedHigh += token.isClippedHigh ? 1 : 0
  }

  package static func += (a: inout PolicyMetrics, b: PolicyMetrics) {
    a.tokens += b.tokens
    a.loss += b.loss
    a.surrogateLoss += b.surrogateLoss
    a.divergenceLoss += b.divergenceLoss
    a.largestRatio = max(a.largestRatio, b.largestRatio)
    a.ratios += b.ratios
    a.divergences += b.divergences
    a.entropies += b.entropies
    a.clippedLow += b.clippedLow
    a.clippedHigh += b.clippedHigh
  }

  private func mean(_ sum: Double) -> Double { tokens == 0 ? 0 : sum / Double(tokens) }

  /// Over the tokens. The divergence is 0 without a reference; the entropy is in nats, at the temperature of sampling.
  package var meanRatio: Double { mean(ratios) }
  package var meanDivergence: Double { mean(divergences) }
  package var meanEntropy: Double { mean(entropies) }
  /// Fractions of the tokens.
  package var clippedLowFraction: Double { mean(Double(clippedLow)) }
  package var clippedHighFraction: Double { mean(Double(clippedHigh)) }
  package var clippedFraction: Double { clippedLowFraction + clippedHighFraction }
}
