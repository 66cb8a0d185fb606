// Learning rate schedules: warm-up, then constant, linear, cosine, or stable with a decay at the end.

import Glibc

/// How the learning rate changes over the steps of a run.
package struct Schedule: Sendable, Equatable {
  package enum Shape: Sendable, Equatable {
    case constant
    /// From 1 to `minimum` in a straight line.
    case linear
    /// From 1 to `minimum` along half a cosine. (Loshchilov & Hutter 2017, eq. 5, without restarts)
    case cosine
    /// At 1, then over the last `decaySteps` steps to `minimum` as 1 - sqrt(progress).
    /// (warm-up-stable-decay: Hu et al. 2024; the square root: Hägele et al. 2024)
    case warmupStableDecay(decaySteps: Int)
  }

  package let shape: Shape
  /// The peak.
  package let learningRate: Double
  package let steps: Int
  package let warmupSteps: Int
  /// The last learning rate as a fraction of the peak, 0...1.
  package let minimum: Double

  /// - Throws: `TrainingError.scheduleInvalid` for numbers that make no schedule.
  package init(
    _ shape: Shape, learningRate: Double, steps: Int, warmupSteps: Int = 0, minimum: Double = 0
  ) throws(TrainingError) {
    func require(_ condition: Bool, _ expected: String) throws(TrainingError) {
      if !condition { throw .scheduleInvalid(expected: expected) }
    }
    try require(learningRate.isFinite && learningRate >= 0, "a learning rate of at least 0, not \(learningRate)")
    try require(steps >= 1, "at least one step, not \(steps)")
    try require((0...steps).contains(warmupSteps), "0 to \(steps) warm-up steps, not \(warmupSteps)")
    try require((0...1).contains(minimum), "a minimum from 0 to 1, not \(minimum)")
    if case .warmupStableDecay(let decaySteps) = shape {
      try require(
        (0...(steps - warmupSteps)).contains(decaySteps),
        "0 to \(steps - warmupSteps) decay steps behind the warm-up, not \(decaySteps)")
    }
    self.shape = shape
    self.learningRate = learningRate
    self.steps = steps
    self.warmupSteps = warmupSteps
    self.minimum = minimum
  }

  /// The learning rate of step `step`, from 0: `learningRate * step / warmupSteps` while it warms up (so the first is
  /// 0, as in transformers' schedules), then the shape, which reaches the minimum at step `steps`.
  package func rate(atStep step: Int) -> Double { learningRate * factor(atStep: step) }

  private func factor(atStep step: Int) -> Double {
    if step < warmupSteps { return Double(step) / Double(warmupSteps) }
    let progress = min(1, Double(step - warmupSteps) / Double(max(1, steps - warmupSteps)))
    switch shape {
    case .constant: return 1
    case .linear: return minimum + (1 - minimum) * (1 - progress)
    case .cosine: return minimum + (1 - minimum) * 0.5 * (1 + cos(.pi * progress))
    case .warmupStableDecay(let decaySteps):
      let start = steps - decaySteps
      guard step >= start, decaySteps > 0 else { return 1 }
      let decayed = min(1, Double(step - start) / Double(decaySteps))
      return minimum + (1 - minimum) * (1 - decayed.squareRoot())
    }
  }
}
