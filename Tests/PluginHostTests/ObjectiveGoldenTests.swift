// The bundled objectives against their definitions in double, and what holds whatever the logits are.

import Compression
import Foundation
import PluginHost
import TestSupport
import Testing

@Suite struct ObjectiveGoldenTests {
  static let names = ObjectiveGolden.names("objective")

  /// `objective/ID/PARAMETERS/CASE`.
  static func call(_ name: String) throws -> Slope {
    let parts = name.split(separator: "/")
    return try Expectation(golden: String(parts[3])).evaluate(
      String(parts[1]), ObjectiveGolden.settings(parts[2]))
  }

  @Test func thereAreAsManyAsTheScriptHas() {
    #expect(Self.names.count > 300)
    #expect(Set(Self.names.map { $0.split(separator: "/")[1] }).count == 10)
  }

  @Test(arguments: names)
  func lossAndGradientAreThoseOfTheDefinition(name: String) throws {
    let slope = try Self.call(name)
    // With beta (1 - beta) = 1e-4 the loss is divided by that, and so are its roundings.
    let least = name.contains("scaled=true") && name.contains("99") || name.contains("0.0001,scaled=true") ? 10 : 1.0
    let wrong = try slope.difference(from: name, least: least)
    #expect(wrong == nil, "\(wrong ?? "")")
  }

  @Test(arguments: names.filter { $0.hasSuffix("/small") })
  func theComparisonCanFail(name: String) throws {
    let slope = try Self.call(name)
    var wrong = slope
    wrong.loss += 1e-5 * max(1, abs(slope.loss))
    #expect(try wrong.difference(from: name, least: 1) != nil)
    wrong = slope
    wrong.gradient[4] += 1e-5 * max(1, slope.gradient.map(abs).max() ?? 0, Float(abs(slope.loss)))
    #expect(try wrong.difference(from: name, least: 1) != nil)
  }

  // MARK: Identities

  static func random(_ count: Int, seed: UInt64, scale: Double = 3) -> Expectation {
    var random = Seeded(seed)
    func logits() -> [Double] { random.floats(count).map { scale * Double($0) } }
    return Expectation(student: logits(), teacher: logits(), target: count / 3)
  }

  static let divergences: [(id: String, settings: [String: String])] = [
    ("forward-kl", [:]), ("reverse-kl", [:]), ("jensen-shannon", [:]), ("jensen-shannon", ["beta": "0.9"]),
    ("jensen-shannon", ["scaled": "true"]), ("skewed-forward-kl", [:]), ("skewed-reverse-kl", [:]),
    ("symmetric-kl", [:]), ("total-variation", [:]), ("top-k-kl", [:]),
    ("top-k-kl", ["k": "5", "meaning": "renormalised-both"]), ("sampled-kl", [:]),
  ]

  @Test(arguments: divergences.indices)
  func equalsDoNotDiverge(index: Int) throws {
    let (id, settings) = Self.divergences[index]
    var pair = Self.random(5000, seed: 3)
    pair.teacher = pair.student
    let slope = try pair.evaluate(id, settings)
    #expect(abs(slope.loss) < 1e-6)
    // What was drawn has a gradient of its own.
    if id != "sampled-kl" { #expect(slope.gradient.allSatisfy { abs($0) < 1e-6 }) }
  }

  /// A softmax does not see what all logits have in common.
  @Test(arguments: divergences.indices)
  func gradientsAddUpToNothing(index: Int) throws {
    let (id, settings) = Self.divergences[index]
    let slope = try Self.random(5000, seed: 4).evaluate(id, settings)
    #expect(slope.loss > 0)
    #expect(abs(slope.gradient.reduce(0.0) { $0 + Double($1) }) < 1e-6)
    #expect(slope.gradient.contains { abs($0) > 1e-4 })
  }

  @Test(arguments: divergences.indices)
  func whatFillsTheVocabularyUpDoesNotCount(index: Int) throws {
    let (id, settings) = Self.divergences[index]
    let pair = Self.random(700, seed: 5)
    var padded = pair
    padded.student += [Double](repeating: -.infinity, count: 325)
    padded.teacher += [Double](repeating: -.infinity, count: 325)
    let expected = try pair.evaluate(id, settings), slope = try padded.evaluate(id, settings)
    #expect(abs(slope.loss - expected.loss) < 1e-6)
    #expect(slope.gradient[700...].allSatisfy { $0 == 0 })
    #expect(zip(slope.gradient, expected.gradient).allSatisfy { abs($0 - $1) < 1e-6 })
  }

  /// One token that the teacher is sure of: the cross-entropy with it.
  @Test(arguments: [
    ("forward-kl", [:]), ("skewed-forward-kl", ["alpha": "0"]), ("jensen-shannon", ["beta": "0"]),
    ("symmetric-kl", ["ratio": "1"]), ("sampled-kl", [:]), ("top-k-kl", ["k": "1", "meaning": "raw"]),
    ("top-k-kl", ["k": "7", "meaning": "teacher-renormalised"]), ("top-k-kl", ["k": "9"]),
  ] as [(String, [String: String])])
  func aCertainTeacherIsTheData(id: String, settings: [String: String]) throws {
    var pair = Self.random(900, seed: 6)
    pair.teacher = [Double](repeating: -.infinity, count: 900)
    pair.teacher[pair.target] = 0
    let data = try pair.evaluate("cross-entropy"), slope = try pair.evaluate(id, settings)
    #expect(abs(slope.loss - data.loss) < 1e-6)
    #expect(zip(slope.gradient, data.gradient).allSatisfy { abs($0 - $1) < 1e-6 })
  }

  @Test func crossEntropyNeedsNoTeacher() throws {
    var pair = Self.random(50, seed: 7)
    pair.hasTeacher = false
    let slope = try pair.evaluate("cross-entropy")
    #expect(slope.loss == -Double(Float(Expectation.logSoftmax(pair.student)[pair.target])))
    let description = try ObjectiveGolden.registry().objective(id: "cross-entropy").description
    #expect(!description.needsTeacher && description.fixedTemperature)
    #expect(throws: PluginError.self) { try pair.evaluate("forward-kl") }
  }

  // MARK: Jensen-Shannon's ends

  @Test func jensenShannonEndsAreForwardAndReverse() throws {
    let pair = Self.random(3000, seed: 8, scale: 1)
    let forward = try pair.evaluate("forward-kl"), reverse = try pair.evaluate("reverse-kl")
    for scaled in ["true", "false"] {
      #expect(try pair.evaluate("jensen-shannon", ["beta": "0", "scaled": scaled]) == forward)
      #expect(try pair.evaluate("jensen-shannon", ["beta": "1", "scaled": scaled]) == reverse)
    }
    // Unscaled it goes to nothing; scaled to what stands at the end, by an error of the order of beta.
    for (beta, end) in [("0.0001", forward), ("0.9999", reverse)] {
      let plain = try pair.evaluate("jensen-shannon", ["beta": beta])
      #expect(plain.loss < 2e-4 * end.loss)
      let scaled = try pair.evaluate("jensen-shannon", ["beta": beta, "scaled": "true"])
      #expect(abs(scaled.loss - end.loss) < 2e-2 * end.loss)
      #expect(abs(scaled.loss * 1e-4 * 0.9999 - plain.loss) < 1e-6 * plain.loss)
      let scale = end.gradient.map(abs).max() ?? 0
      #expect(zip(scaled.gradient, end.gradient).allSatisfy { abs($0 - $1) < 2e-2 * scale })
    }
  }

  /// The limits are reached in first order: a tenth of beta, a tenth of the distance.
  @Test func jensenShannonLimitsAreContinuous() throws {
    let pair = Self.random(300, seed: 9, scale: 0.5)
    let forward = try pair.evaluate("forward-kl").loss, reverse = try pair.evaluate("reverse-kl").loss
    func loss(_ beta: String) throws -> Double {
      try pair.evaluate("jensen-shannon", ["beta": beta, "scaled": "true"]).loss
    }
    let far = try abs(loss("0.01") - forward), near = try abs(loss("0.001") - forward)
    #expect(abs(far / near - 10) < 1)
    let beyond = try abs(loss("0.99") - reverse), close = try abs(loss("0.999") - reverse)
    #expect(abs(beyond / close - 10) < 1)
  }

  @Test func skewedDivergencesHaveTheirEnds() throws {
    let pair = Self.random(3000, seed: 10)
    #expect(try pair.evaluate("skewed-forward-kl", ["alpha": "0"]) == pair.evaluate("forward-kl"))
    #expect(try pair.evaluate("skewed-reverse-kl", ["alpha": "0"]) == pair.evaluate("reverse-kl"))
    for id in ["skewed-forward-kl", "skewed-reverse-kl"] {
      let none = try pair.evaluate(id, ["alpha": "1"])
      #expect(none.loss == 0 && none.gradient.allSatisfy { $0 == 0 })
      #expect(try pair.evaluate(id, ["alpha": "0.1"]).loss < Foundation.log(10))
    }
  }

  // MARK: Top k

  @Test(arguments: ["renormalised-both", "tail-bucket", "teacher-renormalised", "raw"])
  func allTokensAreTheFullDivergence(meaning: String) throws {
    let pair = Self.random(1500, seed: 11)
    let full = try pair.evaluate("forward-kl")
    for k in ["1500", "1048576"] { #expect(try pair.evaluate("top-k-kl", ["k": k, "meaning": meaning]) == full) }
    // One less than all is nearly all, by a way of its own.
    let most = try pair.evaluate("top-k-kl", ["k": "1499", "meaning": meaning])
    #expect(abs(most.loss - full.loss) < 1e-4)
    #expect(zip(most.gradient, full.gradient).allSatisfy { abs($0 - $1) < 1e-4 })
  }

  /// What is left to a student that is too sure of itself is told by logarithms.
  @Test func aTailThatTheStudentForgotStillPulls() throws {
    var pair = Self.random(20, seed: 12)
    pair.teacher[0] = 9
    for i in 1..<20 { pair.student[i] = -200 - Double(i) }
    pair.student[0] = 0
    let slope = try pair.evaluate("top-k-kl", ["k": "1"])
    let tail = 1 - Foundation.exp(Expectation.logSoftmax(pair.teacher)[0])
    let logTail = Expectation.logSoftmax(pair.student)[1...].map { Foundation.exp($0 + 200) }.reduce(0, +)
    #expect(abs(slope.loss - (tail * (Foundation.log(tail) - Foundation.log(logTail) + 200)
      + (1 - tail) * Foundation.log(1 - tail))) < 1e-4)
    #expect(abs(slope.gradient[1...].reduce(0) { $0 + Double($1) } + tail) < 1e-6)
  }

  // MARK: Drawing

  @Test func drawsAverageToTheFullGradient() throws {
    var pair = Self.random(40, seed: 13, scale: 1)
    let full = try pair.evaluate("forward-kl")
    var sum = [Double](repeating: 0, count: 40), losses = 0.0
    let calls = 10_000
    for seed in 0..<calls {
      pair.seed = UInt64(seed) &* 0x9e37_79b9_7f4a_7c15
      let slope = try pair.evaluate("sampled-kl", ["draws": "4"])
      losses += slope.loss / Double(calls)
      for i in sum.indices { sum[i] += Double(slope.gradient[i]) / Double(calls) }
    }
    let p = Expectation.logSoftmax(pair.teacher).map(Foundation.exp)
    for i in sum.indices {
      // Five standard deviations of a mean of 40000 draws.
      #expect(abs(sum[i] - Double(full.gradient[i])) < 5 * (p[i] / Double(4 * calls)).squareRoot() + 1e-6)
    }
    #expect(abs(losses - full.loss) < 0.05)
  }

  @Test func drawsAreThoseOfTheSeed() throws {
    var pair = Self.random(4000, seed: 14)
    let first = try pair.evaluate("sampled-kl")
    #expect(try pair.evaluate("sampled-kl") == first)
    pair.seed += 1
    #expect(try pair.evaluate("sampled-kl") != first)
    #expect(try pair.evaluate("sampled-kl", ["draws": "65536"]).loss > 0)
  }

  /// The program on the page of the ABI: twice the total variation.
  @Test func theObjectiveInTheTutorialWorks() throws {
    let workshop = try Workshop()
    let text = try String(contentsOf: Project.protocolFolder.appending(path: "plugin-abi.md"), encoding: .utf8)
    let part = try #require(text.components(separatedBy: "`total_absolute.c`, complete:").last)
    let registry = PluginRegistry(services: Ear().services)
    try registry.load(
      path: workshop.compile(HeaderTests.example(in: part, prefix: ""), to: "total-absolute.so"))
    let pair = Self.random(300, seed: 17)
    let slope = try pair.evaluate("total-absolute", registry: registry)
    let half = try pair.evaluate("total-variation")
    #expect(abs(slope.loss - 2 * half.loss) < 1e-6)
    #expect(zip(slope.gradient, half.gradient).allSatisfy { abs($0 - 2 * $1) < 1e-6 })
  }

  // MARK: What cannot be had

  @Test(arguments: [
    ("reverse-kl", [:]), ("symmetric-kl", [:]), ("jensen-shannon", ["beta": "1"]),
    ("skewed-reverse-kl", ["alpha": "0"]),
  ] as [(String, [String: String])])
  func anInfiniteDivergenceNamesTheToken(id: String, settings: [String: String]) throws {
    var pair = Self.random(30, seed: 15)
    pair.teacher[7] = -.infinity
    do {
      _ = try pair.evaluate(id, settings)
      Issue.record("accepted")
    } catch PluginError.failed(id, _, 2, let message) {
      #expect(message.contains("token 7"))
    }
    // Bounded ones take it.
    for (id, settings) in Self.divergences where id.hasPrefix("skewed") || id == "jensen-shannon" {
      #expect(try pair.evaluate(id, settings).loss > 0)
    }
  }

  /// Logits thousands apart: nearly all probabilities are 0 in fp32, their logarithms are not.
  @Test(arguments: divergences.indices)
  func extremesStayNumbers(index: Int) throws {
    let (id, settings) = Self.divergences[index]
    let pair = Self.random(1000, seed: 18, scale: 5000)
    let slope = try pair.evaluate(id, settings)
    #expect(slope.gradient.allSatisfy { abs($0) <= 40_000 })
    let logs = zip(Expectation.logSoftmax(pair.teacher), Expectation.logSoftmax(pair.student))
    let forward = logs.reduce(0) { $0 + Foundation.exp($1.0) * ($1.0 - $1.1) }
    let reverse = logs.reduce(0) { $0 + Foundation.exp($1.1) * ($1.1 - $1.0) }
    // Two tokens, each all but certain to one of them.
    let expected: Double? =
      switch id {
      case "forward-kl", "sampled-kl": forward
      case "reverse-kl": reverse
      case "symmetric-kl": (forward + reverse) / 2
      case "total-variation": 1
      case "jensen-shannon" where settings.isEmpty: Foundation.log(2)
      case "jensen-shannon" where settings["scaled"] != nil: 4 * Foundation.log(2)
      case "skewed-forward-kl", "skewed-reverse-kl": Foundation.log(10)
      default: nil
      }
    if let expected { #expect(abs(slope.loss - expected) < 1e-6 * max(1, expected)) }
    #expect(slope.loss.isFinite && slope.loss >= 0)
  }

  @Test(arguments: divergences.indices)
  func largeVocabulariesAreSummedAsExactly(index: Int) throws {
    let (id, settings) = Self.divergences[index]
    // Twice the same tokens, each half as likely: the same divergence.
    let pair = Self.random(65_536, seed: 16)
    guard id != "sampled-kl", id != "top-k-kl" else { return }
    var double = pair
    double.student += pair.student
    double.teacher += pair.teacher
    let one = try pair.evaluate(id, settings).loss, two = try double.evaluate(id, settings).loss
    #expect(abs(one - two) < 1e-6 * max(1, one))
  }
}
