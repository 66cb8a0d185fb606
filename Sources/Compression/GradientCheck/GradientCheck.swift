// Whether the backward pass computes the gradient of the forward pass: every tensor's gradient against central
// differences of the loss, on the very weights and the very kernels that training uses.
//
// For a tensor with gradient g, the elements i of a sample are moved together, each by h d_i with d_i = u_i sign(g_i)
// and u_i drawn from 1/2...3/2: the loss then changes about as fast as it can, so that rounding blurs it least, and an
// error of g escapes only if it is orthogonal to a direction that nobody chose. Compared are
//   analytic = sum_i g_i (w+_i - w-_i) / 2h      numeric = (L(w+) - L(w-)) / 2h,      w±_i = fl(w_i ± h d_i):
// what fp32 makes of the moved weights counts, not what was meant. They may differ, at the step h that is chosen, by
//   tolerance = noise / h + truncation + relative * sum_i |g_i d_i|
//   noise       the rounding of L: each L is off by as much, so their difference over 2h by noise / h. Measured: what
//               enters the first layer is shaken in its last bits, and the loss computed again (`LossProbe.noise`).
//   truncation  the error of central differences is c h^2 (1 + O(h^2)), so errors e = numeric - analytic at h and 2h
//               differ by 3 c h^2: max(|e(2h) - e(h)|, |e(4h) - e(2h)| / 4), three times what is left. The second term
//               is what the first should be; it counts where the first is small by chance. What is wrong with g is in
//               every e alike and drops out.
//   relative    the rounding of g itself: 2^-24 for each of about 12 operations of each layer, adding up as the root of
//               their count, with a factor of 64 for sums that cancel.
// Steps halve from h_0 = min(s / 4, 0.1 / sum_i |g_i d_i|), s the root mean square of the tensor's weights (0.01 at
// least): neither weights nor loss move out of the neighbourhood. The step of the smallest tolerance is taken.
//
// Where ReLU has a kink at t, |t| < h, between slopes that differ by D, both the error of the central difference and
// the asymmetry a(h) = (L(w+) + L(w-) - 2 L(w)) / 2h are ±D (h - |t|) / 2h. Kinks have either sign and are met in
// proportion to h, so their sums are random, of a size that grows as the root of h, and alike for error and asymmetry.
// What is smooth drops out of k(h) = a(h) - a(2h) / 2 and of l(h) = e(h) - e(2h) - (e(2h) - e(4h)) / 4. So with kinks
// the tolerance has one term more, 4 max (|k(h_i)|, |l(h_i)|) sqrt(h / h_i) over all steps h_i >= h: four times the
// most they ever showed; and h is one of the two smallest, where they are fewest and have been seen most often.

import OrderedCollections
package import Tensors
package import Transformers
import Workspace

/// What is to be checked, and how thoroughly.
package struct GradientCheckPlan: Sendable {
  /// One sequence; each token but the first is predicted from those before it.
  package var tokens: [Int32]
  /// Globs over names of tensors; nil takes all that the model computes with.
  package var modules: [String]?
  /// Elements of a tensor that are moved: more of them drown rounding better, and take no more time.
  package var samples = 512
  package var seed: UInt64 = 0

  package init(tokens: [Int32]) { self.tokens = tokens }

  /// Tokens drawn uniformly from a vocabulary.
  package static func randomTokens(_ count: Int, vocabularySize: Int, seed: UInt64) -> [Int32] {
    var generator = SplitMix64(seed: seed, name: "tokens")
    return (0..<count).map { _ in Int32.random(in: 0..<Int32(vocabularySize), using: &generator) }
  }
}

/// The gradient of one tensor against central differences.
package struct TensorGradientCheck: Sendable, Equatable {
  package let tensor: String
  package let analytic: Double
  package let numeric: Double
  package let tolerance: Double
  /// The one that was chosen.
  package let step: Double
  /// Elements that were moved.
  package let samples: Int
  /// Whether the gradient of every pruned weight is zero, as it must be.
  package let prunedAreZero: Bool

  package var error: Double { abs(analytic - numeric) }
  /// False for anything that is not a number.
  package var passed: Bool { error <= tolerance && prunedAreZero }
}

/// The gradients of a model against central differences.
package struct GradientCheck: Sendable {
  /// Mean over the predicted tokens, in nats.
  package let loss: Double
  /// What the loss may be off by for rounding.
  package let noise: Double
  package let tensors: [TensorGradientCheck]

  package var passed: Bool { tensors.allSatisfy(\.passed) }
}

/// Steps tried for each tensor, each half the one before; more where only small ones keep kinks away.
private let stepCount = 5, stepCountWithKinks = 8
/// How far the loss may move with the largest step, in nats.
private let largestMove = 0.1

/// Checks the gradients of `state` in fp32, whatever its weights are stored as.
///
/// Takes 8 bytes a parameter (a copy of the weights, and their gradients), one backward pass, and for every tensor ten
/// forward passes from its layer on (seventeen for ReLU).
/// - Parameter tampering: called with the gradients before they are checked: tests put faults in.
/// - Throws: `CompressionError` (memory, globs, a loss that is no number), `TransformerError` (tokens), `Cancelled`.
package func checkGradients(
  _ state: ModelState, plan: GradientCheckPlan, compute: Compute, monitor: Monitor,
  tampering: (ParameterBlock) -> Void = { _ in }
) throws -> GradientCheck {
  let model = state.transformer, batch = Batch(sequences: 1, length: plan.tokens.count)
  try model.checkTokens(plan.tokens, length: batch.length)
  let layout = ParameterLayout(model)
  let names = try plan.modules.map { try Glob.names(Array(layout.entries.keys), matching: $0) }
  let activations = batch.tokens * (model.trainingBytesPerToken + model.activationBytesPerToken)
  let logits = min(8 * batch.tokens * model.shape.vocabularySize, 128 << 20)
  try requireMemory(8 * layout.count + activations + logits, for: "Checking gradients")

  let parameters = Parameters(model, copying: state.revision, pool: compute.pool)
  let gradients = ParameterBlock(layout)
  let pass = TrainingPass(model, batch: batch, plan: .recomputeAll, compute: compute)
  let loss = CrossEntropy(
    targets: CrossEntropy.nextTokens(plan.tokens, length: batch.length), scale: 1 / Float(batch.length - 1))
  monitor.report(0, "the gradient")
  try pass.forward(plan.tokens, batch: batch, weights: parameters, cancellation: monitor.cancellation)
  let total = try pass.backward(
    through: loss, weights: parameters, into: gradients, cancellation: monitor.cancellation)
  gradients.apply(parameters.masks, compute: compute)
  tampering(gradients)

  let probe = LossProbe(pass, parameters, tokens: plan.tokens, compute: compute, cancellation: monitor.cancellation)
  let noise = try probe.noise(seed: plan.seed)
  guard total.isFinite, noise.isFinite else { throw CompressionError.nonFiniteLoss(window: 0) }
  let checker = TensorChecker(
    probe: probe, parameters: parameters, gradients: gradients, isSmooth: model.isSmooth, noise: noise,
    relative: 64 * 0x1p-24 * Double(12 * (model.shape.layers + 1)).squareRoot())
  let chosen = names ?? Array(layout.entries.keys)
  var checks: [TensorGradientCheck] = []
  for (index, name) in chosen.enumerated() {
    monitor.report(Double(index) / Double(chosen.count), name)
    checks.append(try checker.check(name, samples: plan.samples, seed: plan.seed))
  }
  return GradientCheck(loss: total / Double(batch.length - 1), noise: noise, tensors: checks)
}

/// Checks one tensor after the other.
private struct TensorChecker {
  let probe: LossProbe
  let parameters: Parameters
  let gradients: ParameterBlock
  let isSmooth: Bool
  let noise: Double
  let relative: Double

  /// Both sides at one step.
  private struct Difference {
    let step, analytic, numeric: Double
    /// (L(w+) + L(w-) - 2 L(w)) / 2h
    let asymmetry: Double
    var error: Double { numeric - analytic }
  }

  /// Leaves the weights as they were, also when it throws.
  func check(_ name: String, samples: Int, seed: UInt64) throws(Cancelled) -> TensorGradientCheck {
    let sample = GradientSample(
      of: gradients, name, mask: parameters.masks[name], count: samples, generator: .init(seed: seed, name: name))
    let slope = sample.directions.reduce(0) { $0 + abs(Double(gradients[name][$1.element]) * $1.step) }
    let largest = min(probe.scale(of: name) / 4, slope > 0 ? largestMove / slope : .infinity)
    let still = isSmooth ? 0 : try probe.loss(movedIn: name)
    var differences: [Difference] = []
    for halving in 0..<(isSmooth ? stepCount : stepCountWithKinks) {
      let step = largest / Double(1 << halving)
      differences.append(try difference(name, sample, step: step, still: still))
    }
    let candidates = ((isSmooth ? 2 : differences.count - 2)..<differences.count).map { index in
      (differences[index], tolerance: tolerance(differences[...index], slope: slope))
    }
    // A tolerance that is no number is the smallest: it must be seen.
    let best = candidates.min { $0.tolerance.isNaN || $0.tolerance < $1.tolerance } ?? candidates[0]
    return TensorGradientCheck(
      tensor: name, analytic: best.0.analytic, numeric: best.0.numeric, tolerance: best.tolerance, step: best.0.step,
      samples: sample.directions.count, prunedAreZero: sample.prunedAreZero)
  }

  /// What the last of `differences` may be off by; each is at half the step of the one before.
  private func tolerance(_ differences: ArraySlice<Difference>, slope: Double) -> Double {
    let end = differences.endIndex
    let (before, last, this) = (differences[end - 3], differences[end - 2], differences[end - 1])
    let truncation = max(abs(last.error - this.error), abs(before.error - last.error) / 4)
    let smooth = noise / this.step + truncation + relative * slope
    if isSmooth { return smooth }
    let kinks = (differences.startIndex + 2..<end).map { index in
      let (whole, half, quarter) = (differences[index - 2], differences[index - 1], differences[index])
      let fromAsymmetry = abs(quarter.asymmetry - half.asymmetry / 2)
      let fromError = abs(quarter.error - half.error - (half.error - whole.error) / 4)
      return max(fromAsymmetry, fromError) * (this.step / quarter.step).squareRoot()
    }
    return smooth + 4 * (kinks.max() ?? 0)
  }

  private func difference(
    _ name: String, _ sample: GradientSample, step: Double, still: Double
  ) throws(Cancelled) -> Difference {
    let weights = parameters.block[name], gradient = gradients[name]
    let before = sample.directions.map { weights[$0.element] }
    defer { for (direction, weight) in zip(sample.directions, before) { weights[direction.element] = weight } }
    func moved(by step: Double) -> [Float] {
      zip(sample.directions, before).map { Float(Double($1) + step * $0.step) }
    }
    func loss(_ values: [Float]) throws(Cancelled) -> Double {
      for (direction, value) in zip(sample.directions, values) { weights[direction.element] = value }
      return try probe.loss(movedIn: name)
    }
    let above = moved(by: step), below = moved(by: -step)
    let lossAbove = try loss(above), lossBelow = try loss(below)
    let analytic = sample.directions.indices.reduce(0.0) { sum, index in
      sum + Double(gradient[sample.directions[index].element]) * (Double(above[index]) - Double(below[index]))
    }
    return Difference(
      step: step, analytic: analytic / (2 * step), numeric: (lossAbove - lossBelow) / (2 * step),
      asymmetry: (lossAbove + lossBelow - 2 * still) / (2 * step))
  }
}
