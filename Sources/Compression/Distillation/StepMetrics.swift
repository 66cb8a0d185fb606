// What steps of a run did, and what is expected of the next one's loss.

/// What a step did.
package struct StepMetrics: Sendable, Equatable {
  /// Counted from 1.
  package let step: Int
  package let report: StepReport
  package let parts: [LossPart]
  /// What the losses inside were scaled by, if the balance is dynamic.
  package let balance: Double?
  /// What rewards said, if the run learns from any.
  package let rewards: [LossPart]
  /// Sequences whose teacher did not have to be computed, and all.
  package let teacherReused: Int
  package let sequences: Int
}

/// An exponential mean of the loss over about the last 20 steps, corrected for its beginning.
struct RecentLoss: Sendable, Equatable {
  private static let decay = 0.95
  private(set) var sum = 0.0
  private(set) var steps = 0

  init(sum: Double = 0, steps: Int = 0) {
    self.sum = sum
    self.steps = steps
  }

  /// Nil until it says something: the first steps of a pruned student may well be wild.
  var mean: Double? {
    guard steps >= 5 else { return nil }
    var weight = 1.0
    for _ in 0..<min(steps, 1000) { weight *= Self.decay }
    return sum / (1 - weight)
  }

  mutating func take(_ loss: Double) {
    sum = Self.decay * sum + (1 - Self.decay) * loss
    steps += 1
  }
}
