// How requests have a copy of the model trained while gradients are summed.

import JSON

/// Training of a copy of the model while gradients are summed.
package struct TrainingParam: Sendable {
  package let steps: Int
  package let learningRate: Double

  init(_ fields: inout JSONFields) throws(JSONFieldError) {
    steps = try fields.int("steps", in: 1...1_000_000)
    learningRate = try fields.double("learningRate", in: 0...1)
    try fields.finish()
  }
}
