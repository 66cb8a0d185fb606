// The gradient of the whole loss: central differences in weights and learned maps for what is inside, and the balance,
// through whose scale no gradient goes.

import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@testable import Compression

@Suite struct DistillationGradientTests {
  /// A place, and the last of the student's layers that its loss depends on; -1 for none.
  struct Case: Sendable, CustomTestStringConvertible {
    let id: String
    let place: FeaturePlace
    let pairs: [(Int, Int)]
    let last: Int
    var testDescription: String { "\(id) \(place)" }
  }

  static let cases = [
    Case(id: "hidden-cosine", place: .output, pairs: [(0, 0), (1, 1)], last: 1),
    Case(id: "hidden-mse", place: .output, pairs: [(2, 1)], last: 2),
    Case(id: "hidden-cosine", place: .embedding, pairs: [(0, 0)], last: -1),
    Case(id: "hidden-cosine", place: .queries, pairs: [(1, 0)], last: 1),
    Case(id: "attention-relation", place: .queries, pairs: [(2, 1)], last: 2),
    Case(id: "attention-relation", place: .keys, pairs: [(2, 1), (0, 0)], last: 2),
    Case(id: "hidden-mse", place: .values, pairs: [(1, 1)], last: 1),
    Case(id: "attention-relation", place: .values, pairs: [(1, 1)], last: 1),
  ]

  /// Every step sees all of the data and moves nothing.
  static func bench(_ objectives: [ObjectiveTerm], _ features: [FeatureTerm]) throws -> RunBench {
    var bench = try RunBench(objectives, features: features)
    bench.dataset = try RunBench.dataset(sequences: 4, seed: 6)
    bench.options.isShuffled = false
    bench.options.explosion = nil
    bench.options.schedule = try Schedule(.constant, learningRate: 0, steps: 100_000)
    return bench
  }

  /// Both sides along a direction in which the loss changes fast: all of `values` are moved, each as its gradient is
  /// signed. The errors of central differences at h and h/2 cancel to the fourth order. (Richardson)
  static func slopes(
    _ values: UnsafeMutablePointer<Float>, _ gradient: [Float], count: Int, run: DistillationRun, seed: UInt64
  ) throws -> (analytic: Double, numeric: Double) {
    var random = Seeded(seed)
    let before = (0..<count).map { values[$0] }
    let directions = gradient.map { $0 == 0 ? 0 : (0.5 + random.uniform()) * ($0 > 0 ? 1 : -1) }
    let slope = zip(directions, gradient).reduce(0) { $0 + $1.0 * Double($1.1) }
    let size = (before.reduce(0) { $0 + Double($1) * Double($1) } / Double(count)).squareRoot()
    let step = min(size / 150, 0.003 * max(1, try run.step().report.loss) / slope)
    func sides(_ h: Double) throws -> (analytic: Double, numeric: Double) {
      func loss(_ h: Double) throws -> (Double, [Float]) {
        let moved = zip(before, directions).map { Float(Double($0) + h * $1) }
        for (place, value) in moved.enumerated() { values[place] = value }
        return (try run.step().report.loss, moved)
      }
      let (above, high) = try loss(h), (below, low) = try loss(-h)
      for (place, value) in before.enumerated() { values[place] = value }
      let analytic = zip(gradient, zip(high, low)).reduce(0) { $0 + Double($1.0) * (Double($1.1.0) - Double($1.1.1)) }
      return (analytic / (2 * h), (above - below) / (2 * h))
    }
    let whole = try sides(step), half = try sides(step / 2)
    return (half.analytic, (4 * half.numeric - whole.numeric) / 3 + (whole.analytic - half.analytic) / 3)
  }

  @Test(arguments: cases)
  func insideAgreesWithDifferences(kase: Case) throws {
    let feature = FeatureTerm(
      try Bundled.feature(kase.id), weight: 1.7, place: kase.place,
      pairs: kase.pairs.map { LayerPair(student: $0.0, teacher: $0.1) })
    let bench = try Self.bench([], [feature]), run = try bench.run()
    let gradients = run.trainer.gradients, parameters = run.trainer.parameters
    let names =
      ["model.embed_tokens.weight", "model.layers.0.input_layernorm.weight", "model.layers.0.mlp.down_proj.weight"]
      + ["q_proj", "k_proj", "v_proj"].map { "model.layers.\(max(0, kase.last)).self_attn.\($0).weight" }
    var compared = 0
    for name in names {
      let count = try #require(parameters.layout.entries[name]).count
      try run.step()  // the gradient at the weights as they are again
      let gradient = (0..<count).map { gradients[name][$0] }
      guard gradient.contains(where: { $0 != 0 }) else { continue }
      let (analytic, numeric) = try Self.slopes(parameters.block[name], gradient, count: count, run: run, seed: 1)
      #expect(abs(analytic / numeric - 1) < 2e-3, "\(name): \(analytic), by differences \(numeric)")
      // Tests of the test: a part that is missing shows, and one that is turned round.
      #expect(abs(0.99 * analytic / numeric - 1) > 2e-3)
      compared += 1
    }
    #expect(compared >= (kase.last < 0 ? 1 : kase.place == .output ? 6 : 3))
    if let companion = run.projections.companion {
      let values = companion.parameters.block.values
      try run.step()
      let gradient = companion.gradients.values.readOnly.map { $0 }
      let (analytic, numeric) = try Self.slopes(values.pointer, gradient, count: values.count, run: run, seed: 2)
      #expect(abs(analytic / numeric - 1) < 2e-3, "maps: \(analytic), by differences \(numeric)")
    }
    // Nothing goes to layers behind it.
    try run.step()
    for (name, entry) in parameters.layout.entries {
      for layer in kase.last + 1..<3 where name.contains("layers.\(layer).") {
        #expect((0..<entry.count).allSatisfy { gradients[name][$0] == 0 }, "\(name)")
      }
    }
    #expect(kase.id == "attention-relation" || run.projections.companion != nil)
  }

  static func balanced(accumulation: Int) throws -> RunBench {
    var bench = try bench(
      [.forward(2, weight: 0.7), ObjectiveTerm(Bundled.objective("cross-entropy"), weight: 0.3)],
      [.of("hidden-cosine", .output, (2, 1)), .of("hidden-mse", .embedding, (0, 0), weight: 0.4)])
    bench.plan.balance = .dynamic
    (bench.options.batch, bench.options.accumulation) = (4 / accumulation, accumulation)
    return bench
  }

  /// The loss is twice that on the logits, and the printed parts and the balance make it up.
  @Test(arguments: [1, 2, 4])
  func theBalance(accumulation: Int) throws {
    var bench = try Self.balanced(accumulation: accumulation)
    let step = try bench.run().step(), parts = step.parts.map(\.value)
    #expect(step.parts.map(\.name) == [
      "forward-kl", "cross-entropy", "hidden-cosine.output", "hidden-mse.embedding",
    ])
    let onLogits = 0.7 * 4 * parts[0] + 0.3 * parts[1], inside = parts[2] + 0.4 * parts[3]
    #expect(abs(step.report.loss / (2 * onLogits) - 1) < 1e-6)
    let balance = try #require(step.balance)
    if accumulation == 1 { #expect(abs(balance * inside / onLogits - 1) < 1e-6) }
    bench.plan.balance = .fixed
    let fixed = try bench.run().step()
    #expect(abs(fixed.report.loss / (onLogits + inside) - 1) < 1e-6 && fixed.balance == nil)
    #expect(abs(fixed.report.loss / step.report.loss - 1) > 1e-2)
  }

  /// Its gradient is that of a sum with the scale held fixed, not that of twice the loss on the logits.
  @Test func noGradientThroughTheBalance() throws {
    var bench = try Self.balanced(accumulation: 1)
    let run = try bench.run(), balance = try #require(run.step().balance)
    bench.plan.balance = .fixed
    bench.plan.features = bench.plan.features.map {
      FeatureTerm($0.objective, weight: $0.weight * balance, place: $0.place, pairs: $0.pairs)
    }
    let held = try bench.run()
    try held.step()
    #expect(distance(run.trainer.gradients.values, held.trainer.gradients.values) < 1e-6)
    let maps = try #require(run.projections.companion), others = try #require(held.projections.companion)
    #expect(distance(maps.gradients.values, others.gradients.values) < 1e-6)
    bench.plan.features = []
    bench.plan.objectives = bench.plan.objectives.map {
      ObjectiveTerm($0.objective, weight: 2 * $0.weight, temperature: $0.temperature)
    }
    let through = try bench.run()
    try through.step()
    #expect(distance(through.trainer.gradients.values, run.trainer.gradients.values) > 1e-2)
  }

  /// A scale that would be zero or turn losses round is refused.
  @Test func nothingToBalance() throws {
    var bench = try Self.balanced(accumulation: 1)
    bench.plan.objectives = []
    let none = #expect(throws: TrainingError.self) { try bench.run() }
    #expect(none?.kind == "planInvalid")
    bench = try Teaching.rewardsTwice.bench()
    bench.plan.balance = .dynamic
    let rewards = #expect(throws: TrainingError.self) { try bench.run() }
    #expect(rewards?.kind == "planInvalid")
  }
}
