// The contracts of distillation losses: on the distributions of the next token, and on what is inside the networks.

package import Tensors

package struct ObjectiveDescription: Sendable, Equatable {
  package let method: MethodDescription
  package let needsTeacher: Bool
  /// Whether it is defined at temperature 1 only.
  package let fixedTemperature: Bool

  package init(method: MethodDescription, needsTeacher: Bool, fixedTemperature: Bool) {
    self.method = method
    self.needsTeacher = needsTeacher
    self.fixedTemperature = fixedTemperature
  }
}

/// What student and teacher expect at one position of a text, at the objective's temperature.
package struct Prediction {
  /// `[V]` each: log-probabilities (0 is -infinity) and probabilities.
  package struct Distribution {
    package let logProbabilities: UnsafePointer<Float>
    package let probabilities: UnsafePointer<Float>

    package init(logProbabilities: UnsafePointer<Float>, probabilities: UnsafePointer<Float>) {
      self.logProbabilities = logProbabilities
      self.probabilities = probabilities
    }
  }

  package let vocabulary: Int
  /// The token that follows in the data, in 0..<vocabulary.
  package let target: Int
  package let student: Distribution
  package let teacher: Distribution?
  /// For drawing at random: of this position in this step.
  package let seed: UInt64

  package init(vocabulary: Int, target: Int, student: Distribution, teacher: Distribution?, seed: UInt64) {
    self.vocabulary = vocabulary
    self.target = target
    self.student = student
    self.teacher = teacher
    self.seed = seed
  }
}

package protocol Objective: Sendable {
  var description: ObjectiveDescription { get }

  /// The loss of one position in nats. Called on several compute threads at a time.
  /// - Parameter gradient: `[vocabulary]`, overwritten by the loss's gradient in the student's logits divided by the
  ///   temperature.
  /// - Throws: `Cancelled`, or the implementation's own error, also for a loss that is not finite.
  func evaluate(
    _ prediction: Prediction, parameters: [ParameterValue], gradient: UnsafeMutablePointer<Float>, monitor: Monitor,
    diagnostics: Diagnostics
  ) throws -> Double
}

package struct FeatureObjectiveDescription: Sendable, Equatable {
  package let method: MethodDescription
  /// Whether its loss is a sum over sequences; else over positions that count.
  package let isPerSequence: Bool
  /// Whether student and teacher must be of one width.
  package let needsSameWidth: Bool

  package init(method: MethodDescription, isPerSequence: Bool, needsSameWidth: Bool) {
    self.method = method
    self.isPerSequence = isPerSequence
    self.needsSameWidth = needsSameWidth
  }
}

/// What student and teacher have at one place of their networks, for some sequences. R rows: the sum of `lengths`.
package struct Features {
  package let lengths: [Int]
  package let studentWidth: Int
  package let teacherWidth: Int
  /// Heads side by side in a row; 1 where there are none.
  package let heads: Int
  /// `[R, studentWidth]` and `[R, teacherWidth]`, sequence after sequence.
  package let student: UnsafePointer<Float>
  package let teacher: UnsafePointer<Float>
  /// `[R]`: 1 for positions that count.
  package let counted: UnsafePointer<UInt8>
  package let seed: UInt64
  /// As many floats as `memoryCount` said: 0 when a run begins, then as the last call left them.
  package let memory: UnsafeMutableBufferPointer<Float>

  package var rows: Int { lengths.reduce(0, +) }

  package init(
    lengths: [Int], studentWidth: Int, teacherWidth: Int, heads: Int, student: UnsafePointer<Float>,
    teacher: UnsafePointer<Float>, counted: UnsafePointer<UInt8>, seed: UInt64,
    memory: UnsafeMutableBufferPointer<Float>
  ) {
    self.lengths = lengths
    self.studentWidth = studentWidth
    self.teacherWidth = teacherWidth
    self.heads = heads
    self.student = student
    self.teacher = teacher
    self.counted = counted
    self.seed = seed
    self.memory = memory
  }
}

package protocol FeatureObjective: Sendable {
  var description: FeatureObjectiveDescription { get }

  /// Floats that it keeps from call to call.
  /// - Throws: the implementation's own error, also for a count that is none.
  func memoryCount(parameters: [ParameterValue], studentWidth: Int, teacherWidth: Int) throws -> Int

  /// The loss: a sum over sequences or over positions that count. Called on a compute thread.
  /// - Parameter gradient: `[R, studentWidth]`, overwritten by the loss's gradient in the student's features.
  /// - Throws: `Cancelled`, or the implementation's own error, also for a loss or a gradient that is not finite.
  func compare(
    _ features: Features, parameters: [ParameterValue], gradient: UnsafeMutableBufferPointer<Float>, monitor: Monitor,
    diagnostics: Diagnostics
  ) throws -> Double
}
