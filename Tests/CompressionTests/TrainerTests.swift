// Training: ten steps as PyTorch takes them, masks that stay, micro-batches that add up, steps that fail and change nothing.

import Compression
import Glibc
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Threads
import Transformers
import Workspace

/// ‖a - b‖ / ‖b‖ over everything.
private func distance(_ a: ParameterBlock, _ b: ParameterBlock) -> Double {
  var difference = 0.0, norm = 0.0
  for (x, y) in zip(a.values.readOnly, b.values.readOnly) {
    difference += (Double(x) - Double(y)) * (Double(x) - Double(y))
    norm += Double(y) * Double(y)
  }
  return (difference / norm).squareRoot()
}

@Suite struct TrainerTests {
  @Test(arguments: TrainingFamily.names, [false, true])
  func tenStepsAgreeWithPyTorch(name: String, masked: Bool) throws {
    let family = try TrainingFamily(name, masked: masked), trainer = try family.trainer()
    let key = masked ? "adamw.masked." : "adamw."
    var losses: [Double] = [], norms: [Double] = []
    for step in 1...10 {
      let report = try trainer.train(family.batches())
      losses.append(report.loss)
      norms.append(report.gradientNorm)
      #expect(report.tokens == 36 && trainer.optimizer.steps == step)
      Self.expectPrunedZero(trainer)
    }
    let tolerance = Tolerance(relative: 1e-4)
    #expect(try family.golden.difference(Numbers(losses), from: key + "losses", tolerance) == nil)
    #expect(try family.golden.difference(Numbers(norms), from: key + "gradientNorms", tolerance) == nil)
    #expect(trainer.parameters.masks.isEmpty == !masked)
  }

  /// Every pruned weight, its gradient and both moments are positive zero.
  static func expectPrunedZero(_ trainer: Trainer) {
    let blocks = [
      trainer.parameters.block, trainer.gradients, trainer.optimizer.first, trainer.optimizer.second,
    ]
    for (name, mask) in trainer.parameters.masks {
      for row in 0..<mask.rows {
        for column in 0..<mask.columns where !mask.isKept(row: row, column: column) {
          let place = row * mask.columns + column
          #expect(blocks.allSatisfy { $0[name][place].bitPattern == 0 }, "\(name) \(row) \(column)")
        }
      }
    }
  }

  /// Tests of the test: another rate, no clipping, other betas, decay of norms' weights show in the losses.
  @Test(arguments: ["rate", "clipping", "beta2", "decay"])
  func otherRecipesShow(change: String) throws {
    var options = TrainingFamily.options, rate = TrainingFamily.learningRate
    switch change {
    case "rate": rate *= 1.01
    case "clipping": options.optimizer.maximumNorm = nil
    case "beta2": options.optimizer.beta2 = 0.96
    default: options.optimizer.weightDecay = 0.2
    }
    let family = try TrainingFamily("qwen3"), trainer = try family.trainer(options: options)
    let losses = try (0..<10).map { _ in try trainer.train(family.batches(), learningRate: rate).loss }
    #expect(try family.golden.difference(Numbers(losses), from: "adamw.losses", Tolerance(relative: 1e-4)) != nil)
  }

  /// The same rows in 1, 2 and 4 micro-batches: one division by all rows together.
  @Test(arguments: ["llama3", "gpt2"])
  func microBatchesAddUp(name: String) throws {
    let family = try TrainingFamily(name)
    let rows = (0..<4).flatMap { family.batches(shift: $0)[0].prefix(19) }
    let whole = try family.trainer(batch: Batch(sequences: 4, length: 19))
    let report = try whole.train([rows])
    #expect(report.tokens == 72)
    for count in [2, 4] {
      let size = rows.count / count
      let parts = (0..<count).map { Array(rows[$0 * size..<($0 + 1) * size]) }
      let split = try family.trainer(batch: Batch(sequences: 4 / count, length: 19))
      let other = try split.train(parts)
      #expect(distance(split.gradients, whole.gradients) < 1e-6)
      #expect(abs(other.loss / report.loss - 1) < 1e-6 && abs(other.gradientNorm / report.gradientNorm - 1) < 1e-6)
      #expect(other.tokens == report.tokens)
    }
    // Of different sizes, in the memory of the largest.
    let uneven = try family.trainer(batch: Batch(sequences: 3, length: 19))
    try uneven.train([Array(rows[..<57]), Array(rows[57...])])
    #expect(distance(uneven.gradients, whole.gradients) < 1e-6)
    // A test of the test: a part left out shows.
    let missing = try family.trainer(batch: Batch(sequences: 3, length: 19))
    try missing.train([Array(rows[..<57])])
    #expect(distance(missing.gradients, whole.gradients) > 1e-2)
  }

  /// Activations that are computed again, for whatever budget, give the same bits.
  @Test(arguments: ["llama3", "gemma3_text", "gpt2"], [0, 40_000, 200_000, Int.max])
  func budgetsGiveTheSameBits(name: String, budget: Int) throws {
    let family = try TrainingFamily(name)
    var options = TrainingFamily.options
    options.activationBudget = budget
    let kept = try family.trainer(), again = try family.trainer(options: options)
    for _ in 0..<3 { #expect(try kept.train(family.batches()) == again.train(family.batches())) }
    #expect(kept.bits == again.bits)
  }

  @Test(arguments: [Float.nan, .infinity])
  func aGradientThatIsNoNumberStopsTheStep(value: Float) throws {
    let family = try TrainingFamily("llama3", masked: true), trainer = try family.trainer()
    for _ in 0..<2 { try trainer.train(family.batches()) }
    let name = try #require(trainer.parameters.layout.entries.keys.first { $0.hasSuffix("norm.weight") })
    let good = trainer.parameters.block[name][3]
    trainer.parameters.block[name][3] = value
    let before = trainer.bits
    let error = #expect(throws: TrainingError.self) { try trainer.train(family.batches()) }
    #expect(error == .nonFiniteLoss(step: 3))
    #expect(Array(trainer.bits[..<3]) == Array(before[..<3]) && trainer.optimizer.steps == 2)
    trainer.parameters.block[name][3] = good
    #expect(try trainer.train(family.batches()).loss.isFinite)
  }

  /// Cancelled before it begins; then again, as if nothing had been.
  @Test func cancellationLeavesEverything() throws {
    let family = try TrainingFamily("gpt2"), trainer = try family.trainer()
    try trainer.train(family.batches())
    let raised = Cancellation()
    raised.cancel()
    let before = trainer.bits
    #expect(throws: Cancelled.self) { try trainer.train(family.batches(), cancellation: raised) }
    #expect(Array(trainer.bits[..<3]) == Array(before[..<3]) && trainer.optimizer.steps == 1)

    let straight = try family.trainer()
    try straight.train(family.batches())
    let expected = try straight.train(family.batches())
    #expect(try trainer.train(family.batches()) == expected)
    #expect(trainer.bits == straight.bits)
  }

  /// Cancelled in the midst of many micro-batches: the gradients of the first ones do not count afterwards.
  @Test func cancellationInTheMiddle() throws {
    let family = try TrainingFamily("llama3"), trainer = try family.trainer()
    let many = [[Int32]](repeating: family.tokens, count: 2000), before = trainer.bits
    let cancellation = Cancellation()
    let started = startThread(named: "impatient") {
      usleep(20_000)
      cancellation.cancel()
    }
    try #require(started)
    #expect(throws: Cancelled.self) { try trainer.train(many, cancellation: cancellation) }
    #expect(Array(trainer.bits[..<3]) == Array(before[..<3]) && trainer.optimizer.steps == 0)
    let straight = try family.trainer()
    #expect(try trainer.train(family.batches()) == straight.train(family.batches()))
    #expect(trainer.bits == straight.bits)
  }

  static let wrong: [(String, [[Int32]], Int)] = [
    ("nothing", [], 19), ("an empty batch", [[]], 19), 
    ("a sequence of one", [[1]], 1), ("too long", [[Int32](repeating: 1, count: 20)], 20),
    ("too many", [[Int32](repeating: 1, count: 57)], 19),
  ]

  @Test(arguments: wrong)
  func batchesThatAreNone(name: String, batches: [[Int32]], length: Int) throws {
    let family = try TrainingFamily("llama3"), trainer = try family.trainer()
    let error = #expect(throws: TrainingError.self, "\(name)") { try trainer.train(batches, length: length) }
    #expect(error?.kind == "batchInvalid")
    #expect(trainer.optimizer.steps == 0)
  }

  @Test func tokensThatAreNone() throws {
    let family = try TrainingFamily("llama3"), trainer = try family.trainer()
    #expect(throws: TransformerError.tokenOutOfRange(token: 101, position: 1, vocabularySize: 101)) {
      try trainer.train([[1, 101]], length: 2)
    }
  }
}
