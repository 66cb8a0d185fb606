// How weights are moved while the gradients of a loss are summed up.

/// A short training on a calibration dataset, a sequence at a time in order and round again.
package struct GradientTraining: Sendable, Hashable {
  package enum Optimizer: String, Sendable, CaseIterable {
    /// w -= learningRate * g
    case sgd
    /// With the options of `AdamWOptions`.
    case adamW
  }

  /// At least 1.
  package let steps: Int
  package let learningRate: Double
  package let optimizer: Optimizer

  package init(steps: Int, learningRate: Double, optimizer: Optimizer = .sgd) {
    self.steps = steps
    self.learningRate = learningRate
    self.optimizer = optimizer
  }
}
