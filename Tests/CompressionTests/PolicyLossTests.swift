// The policy objective: values and gradients against autograd, what each estimator of the divergence is the gradient of,
// clipping at its edges, and the same numbers when the gradient is added to another.

import Compression
import Glibc
import Tensors
import TestSupport
import Testing
import Transformers

/// One of the golden's objectives.
struct PolicyCase: Sendable, CustomStringConvertible {
  let estimator: DivergenceEstimator
  let corrected: Bool
  let temperature: Double

  static let all = DivergenceEstimator.allCases.flatMap { estimator in
    [false, true].flatMap { corrected in
      [1.0, 0.7].map { PolicyCase(estimator: estimator, corrected: corrected, temperature: $0) }
    }
  }

  var description: String { "\(estimator)\(corrected ? ".corrected" : "").\(temperature)" }

  var options: PolicyOptions {
    var options = PolicyOptions()
    options.clipHigh = 0.28
    options.divergenceWeight = 0.04
    options.estimator = estimator
    options.correctsBias = corrected
    options.temperature = temperature
    return options
  }
}

func softmax(_ z: [Double]) -> [Double] {
  let largest = z.max() ?? 0, exponentials = z.map { exp($0 - largest) }, sum = exponentials.reduce(0, +)
  return exponentials.map { $0 / sum }
}

@Suite struct PolicyLossTests {
  static let V = 13

  static func rows(_ golden: PolicyGolden) throws -> [PolicyToken?] {
    let tokens = try golden.values("loss.tokens"), advantages = try golden.values("loss.advantages")
    let old = try golden.values("loss.old"), reference = try golden.values("loss.reference")
    let weights = try golden.values("loss.weights")
    return tokens.indices.map { row in
      PolicyToken(
        token: Int32(tokens[row]), advantage: advantages[row], weight: weights[row], oldLogProbability: old[row],
        referenceLogProbability: reference[row])
    }
  }

  static func run(
    _ loss: PolicyLoss, _ logits: [Double], pieces: [Range<Int>]? = nil
  ) throws -> (value: Double, gradient: [Float]) {
    var gradient = logits.map { Float($0) }, value = 0.0
    for rows in pieces ?? [0..<loss.rows.count] {
      value += try gradient.withUnsafeMutableBufferPointer { buffer in
        try loss.overwriteWithGradient(
          try #require(buffer.baseAddress) + rows.lowerBound * Self.V, rows: rows, vocabulary: Self.V,
          compute: Engine.compute, cancellation: Cancellation())
      }
    }
    return (value, gradient)
  }

  /// The formula itself, in double to the end.
  @Test(arguments: PolicyCase.all)
  func theFormulaIsAutograds(objective: PolicyCase) throws {
    let golden = try PolicyGolden(), z = try golden.values("loss.logits"), T = objective.temperature
    var each: [Double] = [], gradient: [Double] = []
    for (row, token) in try Self.rows(golden).enumerated() {
      let token = try #require(token), q = softmax(z[row * Self.V..<(row + 1) * Self.V].map { $0 / T })
      let loss = PolicyTokenLoss(token, logProbability: log(q[Int(token.token)]), objective.options)
      each.append(loss.surrogate + 0.04 * loss.divergence)
      gradient += q.indices.map { token.weight * loss.slope * (($0 == Int(token.token) ? 1 : 0) - q[$0]) / T }
    }
    let tolerance = Tolerance(absolute: 1e-15, relative: 1e-12)
    #expect(try golden.golden.difference(Numbers(each), from: "loss.\(objective).rows", tolerance) == nil)
    #expect(
      try golden.golden.difference(
        Numbers(gradient, shape: [24, Self.V]), from: "loss.\(objective).gradient", tolerance) == nil)
  }

  /// Over fp32 logits, in one piece or several.
  @Test(arguments: PolicyCase.all)
  func rowsOfLogits(objective: PolicyCase) throws {
    let golden = try PolicyGolden(), z = try golden.values("loss.logits")
    let loss = PolicyLoss(try Self.rows(golden), options: objective.options)
    let (value, gradient) = try Self.run(loss, z)
    let expected = try golden.values("loss.\(objective).value")[0]
    #expect(abs(value / expected - 1) < 1e-6)
    let tolerance = Tolerance(absolute: 1e-8, relative: 1e-5), name = "loss.\(objective).gradient"
    let numbers = Numbers(gradient.map { Double($0) }, shape: [24, Self.V])
    #expect(try golden.golden.difference(numbers, from: name, tolerance) == nil)
    let pieces = try Self.run(
      PolicyLoss(loss.rows, options: objective.options), z, pieces: [0..<7, 7..<8, 8..<24])
    #expect(pieces.gradient == gradient && abs(pieces.value - value) < 1e-15)

    // Tests of the test: another clip, another temperature, half the divergence.
    for change in 0..<3 {
      var options = objective.options
      if change == 0 { options.clipHigh = 0.02 } else if change == 1 { options.temperature *= 1.001 }
      if change == 2 { options.divergenceWeight = 0.02 }
      let other = try Self.run(PolicyLoss(loss.rows, options: options), z)
      let numbers = Numbers(other.gradient.map { Double($0) }, shape: [24, Self.V])
      #expect(try golden.golden.difference(numbers, from: name, tolerance) != nil)
    }
  }

  /// Beside another objective on the same rows: its gradient stays, and the policy's comes on top.
  @Test(arguments: PolicyCase.all)
  func addsToAnotherGradient(objective: PolicyCase) throws {
    let golden = try PolicyGolden(), z = try golden.values("loss.logits"), T = objective.temperature
    let loss = PolicyLoss(try Self.rows(golden), options: objective.options)
    let (value, alone) = try Self.run(PolicyLoss(loss.rows, options: objective.options), z)
    var total = 0.0, worst = 0.0
    for row in 0..<24 {
      let q = softmax(z[row * Self.V..<(row + 1) * Self.V].map { $0 / T }).map { Float($0) }
      let logs = q.map { log($0) }
      var gradient = (0..<Self.V).map { Float($0) / 64 }
      total += q.withUnsafeBufferPointer { q in
        logs.withUnsafeBufferPointer { logs in
          guard let q = q.baseAddress, let logs = logs.baseAddress else { return 0 }
          return loss.add(
            row: row, .init(logProbabilities: logs, probabilities: q), vocabulary: Self.V, to: &gradient)
        }
      }
      for index in 0..<Self.V {
        let part = Double(gradient[index]) - Double(Float(index) / 64)
        worst = max(worst, abs(part / T - Double(alone[row * Self.V + index])))
      }
    }
    #expect(worst < 1e-7 && abs(total / value - 1) < 1e-5)
    #expect(loss.metrics.tokens == 24 && abs(loss.metrics.loss / value - 1) < 1e-5)
  }

  @Test func metrics() throws {
    let golden = try PolicyGolden(), z = try golden.values("loss.logits"), objective = PolicyCase.all[8]
    let rows = try Self.rows(golden), loss = PolicyLoss(rows, options: objective.options)
    #expect(loss.metrics == PolicyMetrics())
    let (value, _) = try Self.run(loss, z)
    let metrics = loss.metrics
    var ratios = 0.0, entropy = 0.0, low = 0.0, high = 0.0
    for (row, token) in rows.enumerated() {
      let token = try #require(token), old = try #require(token.oldLogProbability)
      let q = softmax(Array(z[row * Self.V..<(row + 1) * Self.V])), ratio = q[Int(token.token)] / exp(old)
      ratios += ratio / 24
      entropy -= q.reduce(0) { $0 + $1 * log($1) } / 24
      low += ratio < 0.8 && token.advantage < 0 ? 1 / 24 : 0
      high += ratio > 1.28 && token.advantage > 0 ? 1 / 24 : 0
    }
    #expect(objective.description == "k3.1.0" && metrics.tokens == 24 && low > 0 && high > 0)
    #expect(abs(metrics.meanRatio - ratios) < 1e-6 && abs(metrics.meanEntropy - entropy) < 1e-6)
    #expect(abs(metrics.clippedLowFraction - low) < 1e-12 && abs(metrics.clippedHighFraction - high) < 1e-12)
    #expect(abs(metrics.surrogateLoss + metrics.divergenceLoss - value) < 1e-12 && metrics.meanDivergence > 0)
    var twice = metrics
    twice += metrics
    #expect(twice.tokens == 48 && twice.loss == 2 * metrics.loss && abs(twice.meanRatio - metrics.meanRatio) < 1e-12)
  }

  /// Rows that predict nothing have neither loss nor gradient.
  @Test func rowsThatDoNotCount() throws {
    let golden = try PolicyGolden(), z = try golden.values("loss.logits")
    var rows = try Self.rows(golden)
    for row in 0..<24 where row % 3 != 1 { rows[row] = nil }
    let loss = PolicyLoss(rows, options: PolicyOptions())
    let (_, gradient) = try Self.run(loss, z)
    for row in 0..<24 {
      let isZero = gradient[row * Self.V..<(row + 1) * Self.V].allSatisfy { $0 == 0 }
      let token = try Self.rows(golden)[row]
      let isClipped = PolicyTokenLoss(
        try #require(token),
        logProbability: log(
          softmax(Array(z[row * Self.V..<(row + 1) * Self.V]))[Int(try #require(token).token)]), PolicyOptions()
      ).slope == 0
      #expect(isZero == (row % 3 != 1 || isClipped))
    }
    #expect(loss.metrics.tokens == 8)
  }

  // MARK: What the estimators are the gradient of

  /// The expected gradient in the logits of the divergence as a loss, over all tokens that `behaviour` may draw; and the
  /// expected value.
  static func expectation(
    _ estimator: DivergenceEstimator, corrected: Bool, q: [Double], reference: [Double], behaviour: [Double]?
  ) -> (value: Double, gradient: [Double]) {
    var options = PolicyOptions()
    options.divergenceWeight = 1
    options.estimator = estimator
    options.correctsBias = corrected
    var value = 0.0, gradient = q.map { _ in 0.0 }
    for a in q.indices {
      let token = PolicyToken(
        token: Int32(a), advantage: 0, weight: 1, oldLogProbability: behaviour.map { log($0[a]) },
        referenceLogProbability: log(reference[a]))
      let loss = PolicyTokenLoss(token, logProbability: log(q[a]), options), chance = (behaviour ?? q)[a]
      value += chance * loss.divergence
      for j in q.indices { gradient[j] += chance * loss.slope * ((j == a ? 1 : 0) - q[j]) }
    }
    return (value, gradient)
  }

  static func distance(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).map { abs($0 - $1) }.max() ?? 0 }

  @Test(arguments: 0..<5 as Range<UInt64>)
  func gradientsOfTheEstimators(seed: UInt64) {
    var random = Seeded(seed)
    let q = softmax((0..<7).map { _ in 1.5 * random.normal() })
    let reference = softmax((0..<7).map { _ in 1.5 * random.normal() })
    let old = softmax((0..<7).map { _ in random.normal() })
    let divergence = zip(q, reference).reduce(0) { $0 + $1.0 * log($1.0 / $1.1) }
    /// Of KL(student || reference), and of KL(reference || student).
    let reverse = zip(q, reference).map { $0 * (log($0 / $1) - divergence) }
    let forward = zip(q, reference).map { $0 - $1 }
    func of(_ estimator: DivergenceEstimator, _ corrected: Bool, _ behaviour: [Double]? = nil) -> (Double, [Double]) {
      Self.expectation(estimator, corrected: corrected, q: q, reference: reference, behaviour: behaviour)
    }
    #expect(Self.distance(forward, reverse) > 1e-2)
    // Values: k1 and k3 are unbiased.
    #expect(abs(of(.k1, false).0 - divergence) < 1e-10 && abs(of(.k3, false).0 - divergence) < 1e-10)
    // Gradients as losses.
    #expect(Self.distance(of(.k1, false).1, q.map { _ in 0 }) < 1e-10)
    #expect(Self.distance(of(.k2, false).1, reverse) < 1e-10)
    #expect(Self.distance(of(.k3, false).1, forward) < 1e-10)
    #expect(Self.distance(of(.k3, false).1, reverse) > 1e-3)
    #expect(Self.distance(of(.k1, true).1, reverse) < 1e-10)
    #expect(Self.distance(of(.k3, true).1, reverse) < 1e-10)
    // Tokens of an older policy: the ratio puts that right, value and gradient.
    #expect(abs(of(.k3, true, old).0 - divergence) < 1e-10 && Self.distance(of(.k3, true, old).1, reverse) < 1e-10)
    #expect(Self.distance(of(.k1, true, old).1, reverse) < 1e-10)
  }

  // MARK: Edges

  static func token(_ advantage: Double, old: Double?) -> PolicyToken {
    PolicyToken(token: 0, advantage: advantage, weight: 1, oldLogProbability: old)
  }

  @Test func clipping() {
    var options = PolicyOptions()
    options.clipHigh = 0.5
    func loss(_ ratio: Double, _ advantage: Double) -> PolicyTokenLoss {
      PolicyTokenLoss(Self.token(advantage, old: -1), logProbability: -1 + log(ratio), options)
    }
    func close(_ a: Double, _ b: Double) -> Bool { abs(a - b) < 1e-12 }
    #expect(close(loss(1.4, 2).surrogate, -2.8) && close(loss(1.4, 2).slope, -2.8) && !loss(1.4, 2).isClippedHigh)
    #expect(loss(1.6, 2).surrogate == -3 && loss(1.6, 2).slope == 0 && loss(1.6, 2).isClippedHigh)
    #expect(close(loss(1.6, -2).surrogate, 3.2) && close(loss(1.6, -2).slope, 3.2) && !loss(1.6, -2).isClippedHigh)
    #expect(close(loss(0.7, -2).surrogate, 1.6) && loss(0.7, -2).slope == 0 && loss(0.7, -2).isClippedLow)
    #expect(close(loss(0.7, 2).surrogate, -1.4) && close(loss(0.7, 2).slope, -1.4) && !loss(0.7, 2).isClippedLow)
  }

  /// The first step after drawing: the value says nothing, the gradient everything.
  @Test func withoutAnOldPolicy() {
    let loss = PolicyTokenLoss(Self.token(1.5, old: nil), logProbability: -3, PolicyOptions())
    #expect(loss.ratio == 1 && loss.surrogate == -1.5 && loss.slope == -1.5)
  }

  /// An advantage of 0 stays 0 whatever the ratio overflows to.
  @Test func nothingToLearnIsNeverNaN() {
    let loss = PolicyTokenLoss(Self.token(0, old: -1e9), logProbability: 0, PolicyOptions())
    #expect(loss.ratio == .infinity && loss.surrogate == 0 && loss.slope == 0)
  }

  @Test func optionsThatAreNone() throws {
    try PolicyOptions().check()
    let changes: [(inout PolicyOptions) -> Void] = [
      { $0.clip = 0 }, { $0.clip = 1 }, { $0.clip = .nan }, { $0.clipHigh = 0 }, { $0.clipHigh = .infinity },
      { $0.divergenceWeight = -1 }, { $0.divergenceWeight = .nan }, { $0.temperature = 0 }, { $0.temperature = .nan },
    ]
    for change in changes {
      var options = PolicyOptions()
      change(&options)
      let error = #expect(throws: PolicyError.self) { try options.check() }
      #expect(error?.kind == "policyOptionsInvalid")
    }
  }
}
