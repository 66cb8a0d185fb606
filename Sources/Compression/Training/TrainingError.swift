// What can be wrong with training: facts, and the one place that puts them into words.

/// Why a training step or a restored state was refused. Nothing was changed.
package enum TrainingError: Error, Equatable {
  case scheduleInvalid(expected: String)
  case batchInvalid(expected: String)
  case planInvalid(expected: String)
  case vocabulariesDiffer(reason: String)
  case nonFiniteLoss(step: Int)
  case nonFiniteGradient(step: Int)
  case lossExploded(step: Int, loss: Double, mean: Double)
  case stateMismatch(path: String, reason: String)

  /// A stable word for clients.
  package var kind: String {
    switch self {
    case .scheduleInvalid: "scheduleInvalid"
    case .batchInvalid: "batchInvalid"
    case .planInvalid: "planInvalid"
    case .vocabulariesDiffer: "vocabulariesDiffer"
    case .nonFiniteLoss: "nonFiniteLoss"
    case .nonFiniteGradient: "nonFiniteGradient"
    case .lossExploded: "lossExploded"
    case .stateMismatch: "trainingStateMismatch"
    }
  }

  package var message: String {
    switch self {
    case .scheduleInvalid(let expected):
      "These numbers make no learning rate schedule. Expected \(expected)."
    case .batchInvalid(let expected):
      "These tokens make no batch that can be trained on. Expected \(expected)."
    case .planInvalid(let expected):
      "These objectives cannot be taught. Expected \(expected)."
    case .vocabulariesDiffer(let reason):
      "Student and teacher do not mean the same by their tokens: \(reason). Have the teacher write text with "
        + "dataset/generate, and teach the student on that with the objective cross-entropy."
    case .nonFiniteLoss(let step):
      "The loss of step \(step) is not finite. The weights are those before it. "
        + "Lower the learning rate, or check the data."
    case .nonFiniteGradient(let step):
      "The gradient of step \(step) is not finite. The weights are those before it. "
        + "Lower the learning rate, or check the data."
    case .lossExploded(let step, let loss, let mean):
      "The loss of step \(step) is \(loss), which is far beyond the recent mean of \(mean). The weights are those before "
        + "it. Go back to a fork or a revision before, and lower the learning rate."
    case .stateMismatch(let path, let reason):
      "\(path) does not hold the state of this training: \(reason). Nothing was restored."
    }
  }
}
