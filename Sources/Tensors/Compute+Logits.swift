// What choosing a token needs of the logits of a whole vocabulary: their largest, their softmax, and faults in them.

import CKernels

extension Compute {
  /// The first of the largest of V logits; nil if one is NaN or infinite.
  package static func largestLogit(_ logits: UnsafePointer<Float>, count V: Int) -> Int? {
    var minimum: Float = 0, maximum: Float = 0, sum = 0.0
    guard ck_range(&minimum, &maximum, &sum, logits, V) == 0, minimum.isFinite, maximum.isFinite else { return nil }
    var place = 0
    while place < V, logits[place] != maximum { place += 1 }
    return place
  }

  /// log of the sum of exp of V finite logits, in double.
  package static func logSumExp(_ logits: UnsafePointer<Float>, count V: Int) -> Double { ck_log_sum_exp(logits, V) }

  /// The softmax of V logits divided by `temperature` (above 0), and its logarithm. -infinity gets probability 0.
  package static func distribution(
    logProbabilities: UnsafeMutablePointer<Float>, probabilities: UnsafeMutablePointer<Float>,
    _ logits: UnsafePointer<Float>, count V: Int, temperature: Float
  ) {
    ck_distribution(logProbabilities, probabilities, logits, V, temperature)
  }

  /// probabilities = softmax(logits / temperature) of V finite logits, each to the precision of fp32.
  package static func softmax(
    _ probabilities: UnsafeMutablePointer<Float>, _ logits: UnsafePointer<Float>, count V: Int, temperature: Double
  ) {
    probabilities.update(from: logits, count: V)
    // One over a temperature near zero may be more than a float holds; the largest one then takes all just the same.
    let scale = Float(min(1 / temperature, 1e30))
    ck_causal_softmax_forward(probabilities, 1, V, V - 1, 0, V, scale)
  }
}
