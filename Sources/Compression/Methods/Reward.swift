// The contract of a method that says how good a sampled text is.

package import Tensors

package struct RewardDescription: Sendable, Equatable {
  package let method: MethodDescription
  package let needsTeacher: Bool
  package let needsAnswer: Bool

  package init(method: MethodDescription, needsTeacher: Bool, needsAnswer: Bool) {
    self.method = method
    self.needsTeacher = needsTeacher
    self.needsAnswer = needsAnswer
  }
}

/// A prompt and what a model made of it.
package struct SampledText: Sendable, Equatable {
  package let prompt: String
  /// Without the token that ended it.
  package let completion: String
  /// What the data say is right.
  package let answer: String?
  /// Of the completion, the one that ended it included; at least 1.
  package let tokens: Int
  /// Whether a token ended it; else it was cut off.
  package let hasEnded: Bool
  /// The sum over its tokens of the teacher's log-probability, in nats.
  package let teacherLogLikelihood: Double?

  package init(
    prompt: String, completion: String, answer: String?, tokens: Int, hasEnded: Bool, teacherLogLikelihood: Double?
  ) {
    self.prompt = prompt
    self.completion = completion
    self.answer = answer
    self.tokens = tokens
    self.hasEnded = hasEnded
    self.teacherLogLikelihood = teacherLogLikelihood
  }
}

package protocol Reward: Sendable {
  var description: RewardDescription { get }

  /// A finite number, the higher the better. Called on several compute threads at a time.
  /// - Throws: `Cancelled`, or the implementation's own error, also for a number that is not finite.
  func judge(
    _ text: SampledText, parameters: [ParameterValue], monitor: Monitor, diagnostics: Diagnostics
  ) throws -> Double
}
