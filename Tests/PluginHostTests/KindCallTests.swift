// Solvers, compensators and refiners: good calls, and every promise that a result can break.

import Compression
import PluginHost
import Tensors
import Testing

/// What a call ended in: the plugin's own verdict, a broken promise, or a fault of the caller's.
enum Verdict: Equatable {
  case done
  case failed(String)
  case broken(String, PluginViolation)
  case invalid(PluginInputProblem)
  case cancelled

  init(_ body: () throws -> Void) {
    do {
      try body()
      self = .done
    } catch let error as PluginError {
      switch error {
      case .failed("kinds", _, _, let message), .failed("lessons", _, _, let message): self = .failed(message)
      case .contractBroken("kinds", let tensor, let violation), .contractBroken("lessons", let tensor, let violation):
        self = .broken(tensor, violation)
      case .inputInvalid("kinds", _, let problem), .inputInvalid("lessons", _, let problem): self = .invalid(problem)
      default: self = .failed("unexpected: \(error)")
      }
    } catch is Cancelled {
      self = .cancelled
    } catch {
      self = .failed("unexpected: \(error)")
    }
  }
}

/// A sample and what a call on it writes.
struct Trial {
  static let half = Budget(target: .ratio(0.5), group: .matrix)
  var sample = Sample(rows: 6, columns: 8)
  var kept: [UInt8]
  var weights: [Float] = []
  var bias: [Float] = []
  var monitor = Monitor()
  let diagnostics = Diagnostics()

  init() { kept = (0..<48).map { $0 % 2 == 0 ? 1 : 0 } }

  mutating func solve(_ behaviour: KindSpecimen.Behaviour, _ budget: Budget = half, masks: Int = 48) throws {
    kept = Array(repeating: 9, count: masks)
    weights = Array(repeating: 9, count: 48)
    let solver = try KindSpecimen.registry.get().solver(id: "kinds")
    try sample.withInput { input in
      try kept.withUnsafeMutableBufferPointer { kept in
        try weights.withUnsafeMutableBufferPointer { weights in
          try solver.solve(
            [Problem(matrix: input, budget: budget, kept: kept, weights: weights)], parameters: [behaviour.value],
            monitor: monitor, diagnostics: diagnostics)
        }
      }
    }
  }

  mutating func compensate(_ behaviour: KindSpecimen.Behaviour, _ budget: Budget? = nil, rows: Int = 6) throws {
    weights = sample.weights
    bias = Array(repeating: 9, count: rows)
    let compensator = try KindSpecimen.registry.get().compensator(id: "kinds")
    try sample.withInput { input in
      try kept.withUnsafeBufferPointer { kept in
        try weights.withUnsafeMutableBufferPointer { weights in
          try bias.withUnsafeMutableBufferPointer { bias in
            try compensator.compensate(
              input, kept: kept, budget: budget, parameters: [behaviour.value], weights: weights, bias: bias,
              monitor: monitor, diagnostics: diagnostics)
          }
        }
      }
    }
  }

  mutating func refine(
    _ behaviour: KindSpecimen.Behaviour, _ budget: Budget = half, scores: ScoreMatrix? = nil
  ) throws {
    let refiner = try KindSpecimen.registry.get().refiner(id: "kinds")
    try sample.withInput { input in
      try kept.withUnsafeMutableBufferPointer { kept in
        try refiner.refine(
          input, budget: budget, scores: scores, parameters: [behaviour.value], kept: kept, monitor: monitor,
          diagnostics: diagnostics)
      }
    }
  }
}

@Suite struct KindCallTests {
  static let tensor = "model.layers.3.mlp.down_proj.weight"

  static func gram(_ inputs: Int, cross: Bool = false) -> Gram {
    let products = FloatBuffer(count: inputs * inputs)
    products.values.update(repeating: 1)
    return Gram(sequences: 7, tokens: 448, inputs: inputs, products: products, cross: cross ? products : nil)
  }

  func trial() -> Trial {
    var trial = Trial()
    trial.sample.statistics.input.gram = Self.gram(8)
    return trial
  }

  // MARK: Solver

  @Test(arguments: [
    Budget(target: .ratio(0.3), group: .matrix), Budget(target: .ratio(0.3), group: .row),
    Budget(target: .ratio(0.3), group: .column), Budget(target: .pattern(prune: 3, of: 4), group: .matrix),
  ])
  func aSolverPrunesByTheBudget(budget: Budget) throws {
    var trial = trial()
    try trial.solve(.good, budget)
    let pruned = { (i: Int) in
      switch (budget.target, budget.group) {
      case (.pattern, _): i % 4 < 3
      case (_, .row): i % 8 < 2
      case (_, .column): i / 8 < 1
      default: i < 14
      }
    }
    for i in 0..<48 {
      #expect(trial.kept[i] == (pruned(i) ? 0 : 1))
      #expect(trial.weights[i] == (pruned(i) ? 0 : 2 * trial.sample.weights[i]))
    }
  }

  /// NaN under the mask is wiped out; one more for each group is what published methods prune.
  @Test func aSolverIsForgivenWhatDoesNoHarm() throws {
    var trial = trial()
    try trial.solve(.dirty)
    #expect(trial.weights[0] == 0)
    for group in [MaskGroup.matrix, .row, .column] {
      try trial.solve(.oneMore, Budget(target: .ratio(0.5), group: group))
    }
  }

  @Test func whatASolverPromisesIsHeldAgainstIt() throws {
    var trial = trial()
    let pattern = Budget(target: .pattern(prune: 2, of: 4), group: .matrix)
    let rows = Budget(target: .ratio(0.5), group: .row)
    let broken = { (violation: PluginViolation) in Verdict.broken(Self.tensor, violation) }
    #expect(Verdict { try trial.solve(.infinite) } == broken(.notFinite(what: "weights", index: 47, value: "inf")))
    #expect(Verdict { try trial.solve(.strange) } == broken(.maskValue(index: 47, value: 7)))
    #expect(
      Verdict { try trial.solve(.nothing) } == broken(.budgetMissed(expected: 24, pruned: 0, of: 48, allowed: 1)))
    #expect(
      Verdict { try trial.solve(.tooMany) } == broken(.budgetMissed(expected: 24, pruned: 26, of: 48, allowed: 1)))
    #expect(
      Verdict { try trial.solve(.tooMany, rows) }
        == broken(.budgetMissed(expected: 24, pruned: 36, of: 48, allowed: 6)))
    #expect(
      Verdict { try trial.solve(.oneMore, pattern) }
        == broken(.patternMissed(pattern: "2:4", row: 0, column: 0, pruned: 3)))
    #expect(Verdict { try trial.solve(.fail) } == .failed("as told"))
  }

  @Test func aSolverIsNotCalledWithNonsense() {
    var trial = trial()
    #expect(
      Verdict { try trial.solve(.good, Budget(target: .ratio(0.5), group: .global)) }
        == .invalid(.groupInvalid(.global)))
    #expect(
      Verdict { try trial.solve(.good, Budget(target: .ratio(1.5), group: .row)) }
        == .invalid(.ratioInvalid(given: "1.5")))
    #expect(
      Verdict { try trial.solve(.good, Budget(target: .pattern(prune: 1, of: 3), group: .row)) }
        == .invalid(.patternDoesNotDivide(pattern: "1:3", columns: 8)))
    #expect(
      Verdict { try trial.solve(.good, masks: 47) }
        == .invalid(.shape(what: "bytes of a mask", rows: 6, columns: 8, given: 47)))
    trial.sample.statistics.input.gram = Self.gram(7)
    #expect(
      Verdict { try trial.solve(.good) }
        == .invalid(.statisticsMismatch(.gram, what: "inputs", given: 7, expected: 8)))
    trial.sample.statistics.input.gram = nil
    #expect(Verdict { try trial.solve(.good) } == .invalid(.statisticsMissing(.gram)))
  }

  @Test func matricesOfOneInputShareTheirStatistics() throws {
    let solver = try KindSpecimen.registry.get().solver(id: "kinds")
    var trial = trial()
    func solve(_ second: Sample) -> Verdict {
      var kept = [UInt8](repeating: 0, count: 96), weights = [Float](repeating: 0, count: 96)
      return Verdict {
        try trial.sample.withInput { first in
          try second.withInput { second in
            try kept.withUnsafeMutableBufferPointer { kept in
              try weights.withUnsafeMutableBufferPointer { weights in
                let problems = [first, second].enumerated().map { place, matrix in
                  let range = place * 48..<(place + 1) * 48
                  return Problem(
                    matrix: matrix, budget: Trial.half, kept: .init(rebasing: kept[range]),
                    weights: .init(rebasing: weights[range]))
                }
                try solver.solve(
                  problems, parameters: [KindSpecimen.Behaviour.shared.value], monitor: Monitor(),
                  diagnostics: Diagnostics())
              }
            }
          }
        }
      }
    }
    #expect(solve(trial.sample) == .done)
    var other = trial.sample
    other.statistics.input.gram = Self.gram(8)
    #expect(solve(other) == .failed("the statistics are not the same objects"))
    trial.sample.moments?.sum[0] += 1
  }

  // MARK: Compensator

  @Test func aCompensatorChangesWeightsAndBias() throws {
    var trial = trial()
    try trial.compensate(.good)
    for i in 0..<48 where i % 2 == 0 { #expect(trial.weights[i] == 3 * trial.sample.weights[i]) }
    #expect(trial.bias == [0, 1, 2, 3, 4, 5])
    // What it writes where the mask prunes is for the next round, and 0 if it is no number.
    try trial.compensate(.strange)
    #expect(!trial.weights.contains { !$0.isFinite })
  }

  @Test func whatACompensatorPromisesIsHeldAgainstIt() {
    var trial = trial()
    #expect(
      Verdict { try trial.compensate(.dirty) }
        == .broken(Self.tensor, .notFinite(what: "weights", index: 0, value: "nan")))
    #expect(
      Verdict { try trial.compensate(.infinite) }
        == .broken(Self.tensor, .notFinite(what: "bias", index: 5, value: "-inf")))
  }

  @Test func aCompensatorSeesTheBudgetIfThereIsOne() {
    var trial = trial()
    #expect(Verdict { try trial.compensate(.echo) } == .failed("budget -1 0 0:0, kept 0, bias there"))
    #expect(
      Verdict { try trial.compensate(.echo, Budget(target: .ratio(0.25), group: .column)) }
        == .failed("budget 2 0.25 0:0, kept 0, bias there"))
    #expect(
      Verdict { try trial.compensate(.echo, Budget(target: .pattern(prune: 2, of: 4), group: .row)) }
        == .failed("budget 1 0 2:4, kept 0, bias there"))
  }

  @Test func aCompensatorIsNotCalledWithNonsense() {
    var trial = trial()
    #expect(
      Verdict { try trial.compensate(.good, rows: 0) }
        == .invalid(.count(what: "elements of bias", given: 0, expected: 6)))
    trial.kept[5] = 2
    #expect(Verdict { try trial.compensate(.good) } == .invalid(.maskValue(index: 5, value: 2)))
  }

  // MARK: Refiner

  @Test func aRefinerMovesWithinRowsOrGroups() throws {
    var trial = trial()
    trial.kept = (0..<48).map { $0 % 8 < 3 ? 1 : 0 }
    try trial.refine(.good)
    #expect(trial.kept == (0..<48).map { $0 % 8 >= 5 ? 1 : 0 })
    trial.kept = (0..<48).map { $0 % 4 < 1 ? 1 : 0 }
    try trial.refine(.good, Budget(target: .pattern(prune: 3, of: 4), group: .matrix))
    #expect(trial.kept == (0..<48).map { $0 % 4 == 3 ? 1 : 0 })
  }

  @Test func whatARefinerPromisesIsHeldAgainstIt() {
    var trial = trial()
    #expect(
      Verdict { try trial.refine(.strange) } == .broken(Self.tensor, .maskValue(index: 5, value: 255)))
    trial = self.trial()
    #expect(
      Verdict { try trial.refine(.tooMany) }
        == .broken(Self.tensor, .countChanged(row: 5, column: 0, before: 4, after: 3)))
    // Turned within rows, where the pattern has groups of 4.
    trial.kept = (0..<48).map { $0 % 8 < 4 ? 1 : 0 }
    #expect(
      Verdict { try trial.refine(.shared, Budget(target: .pattern(prune: 2, of: 4), group: .matrix)) }
        == .broken(Self.tensor, .countChanged(row: 0, column: 0, before: 0, after: 4)))
  }

  @Test func aRefinerSeesTheScoresIfThereAreAny() {
    var trial = trial()
    let scores = ScoreMatrix(rows: 6, columns: 8)
    scores.values.values.update(repeating: 0.5)
    #expect(Verdict { try trial.refine(.echo) } == .failed("-1, group 0"))
    #expect(Verdict { try trial.refine(.echo, scores: scores) } == .failed("0.5, group 0"))
    #expect(
      Verdict { try trial.refine(.good, scores: ScoreMatrix(rows: 6, columns: 7)) }
        == .invalid(.shape(what: "scores", rows: 6, columns: 8, given: 42)))
  }

  // MARK: All kinds

  @Test func cancellationReachesEveryKind() {
    for call in [{ try $0.solve(.wait) }, { try $0.compensate(.wait) }, { try $0.refine(.wait) }]
      as [(inout Trial) throws -> Void]
    {
      var trial = trial()
      let cancellation = Cancellation()
      trial.monitor = Monitor(cancellation: cancellation) { _, _ in cancellation.cancel() }
      #expect(Verdict { try call(&trial) } == .cancelled)
      #expect(Verdict { try call(&trial) } == .cancelled)  // and a call after that does not begin
    }
  }

  @Test func diagnosticsArrive() throws {
    var trial = trial()
    trial.kept = [UInt8](repeating: 1, count: 48)
    try trial.refine(.diagnose)
    let long = String(repeating: "z", count: 4096)
    #expect(
      trial.diagnostics.all.kept == [
        Diagnostic(.warning, kind: "plugin", "two lines \u{fffd}"), Diagnostic(.information, kind: "plugin", ""),
        Diagnostic(.error, kind: "deadInputs", tensor: "a.weight", "three inputs are dead"),
        Diagnostic(.information, kind: "plugin", tensor: String(long.prefix(1024)), long),
      ])
  }
}
