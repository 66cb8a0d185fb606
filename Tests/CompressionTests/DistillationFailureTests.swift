// Steps that fail change nothing: weights, moments, maps, memories are as before, and the next step gives the bits of a
// run that never failed.

import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@testable import Compression

@Suite struct DistillationFailureTests {
  /// A run with everything that a step changes, and what can go wrong with it.
  static func bench(_ teaching: Teaching = .projections) throws -> (RunBench, Trouble) {
    let trouble = Trouble()
    var bench = try teaching.bench()
    let inner = try Bundled.objective("forward-kl")
    bench.plan.objectives = [
      ObjectiveTerm(Configured(TroubledObjective(inner: inner.method, trouble: trouble)), temperature: 2)
    ]
    if bench.plan.policy == nil {
      bench.plan.features.append(try .of("contrastive-memory", .output, (1, 0), changes: ["bank": .integer(8)]))
    }
    return (bench, trouble)
  }

  static func word(_ error: any Error) -> String {
    switch error {
    case let error as TrainingError: error.kind
    case is Cancelled: "cancelled"
    case is Trouble.Problem: "problem"
    default: "\(error)"
    }
  }

  /// In the first batch, and in the second, when gradients of the first are there and memories have moved.
  @Test(arguments: Trouble.Kind.allCases, [0, 40])
  func nothingChanges(kind: Trouble.Kind, calls: Int) throws {
    let (bench, trouble) = try Self.bench(), run = try bench.run(), straight = try bench.run()
    for _ in 0..<6 {
      try run.step()
      try straight.step()
    }
    let before = run.bits
    #expect(before == straight.bits)
    trouble.arm(kind, after: calls)
    var found = "nothing"
    do { try run.step(trouble.cancellation) } catch { found = Self.word(error) }
    trouble.disarm()
    let expected: [Trouble.Kind: String] = [
      .throwing: "problem", .lossNaN: "nonFiniteLoss", .gradientNaN: "nonFiniteGradient", .exploding: "lossExploded",
      .cancelling: "cancelled",
    ]
    #expect(found == expected[kind])
    #expect(run.bits == before)
    let next = try straight.step()
    #expect(try run.step().report == next.report)
    #expect(run.bits == straight.bits && run.bits != before)
  }

  /// Two steps of the optimiser on the same completions: the second fails, and the first is taken back, maps included.
  @Test(arguments: Trouble.Kind.allCases)
  func bothStepsAreTakenBack(kind: Trouble.Kind) throws {
    let (bench, trouble) = try Self.bench(.rewardsTwice)
    let run = try bench.run(), straight = try bench.run()
    for _ in 0..<2 {
      try run.step()
      try straight.step()
    }
    let before = run.bits, rows = try straight.step().report.tokens
    // What explodes does so against a mean, which runs with rewards do not keep.
    trouble.arm(kind == .exploding ? .throwing : kind, after: rows)
    var found = "nothing"
    do { try run.step(trouble.cancellation) } catch { found = Self.word(error) }
    trouble.disarm()
    #expect(found != "nothing")
    #expect(run.bits == before)
    try run.step()
    #expect(run.bits == straight.bits)
  }

  /// A teacher whose logits are no numbers; the bundled objective says so.
  @Test(arguments: ["lm_head.weight", "model.norm.weight"])
  func teachersThatAreNoNumbers(tensor: String) throws {
    var bench = try RunBench([.forward()])
    let model = try TestModel(tiny: "llama-linear")
    let parameters = Parameters(model.transformer, copying: model.history.current, pool: Engine.pool)
    parameters.block[tensor][5] = .nan
    var tensors = model.history.current.tensors
    tensors[tensor] = StoredTensor(weights: WeightsBlob(parameters.tensor(tensor).weights))
    model.history.commit(Operation(method: "test", summary: ""), tensors: tensors)
    bench.teacher = model.state
    let run = try bench.run(), before = run.bits
    #expect(throws: (any Error).self) { try run.step() }
    #expect(run.bits == before)
  }

  @Test func cancelledBeforeItBegins() throws {
    let run = try Teaching.memory.bench().run(), cancellation = Cancellation()
    cancellation.cancel()
    let before = run.bits
    #expect(throws: Cancelled.self) { try run.step(cancellation) }
    #expect(run.bits == before)
  }

  /// Explosions are told from a mean of at least five steps, and only where someone wants to know.
  @Test func explosions() throws {
    let (made, trouble) = try Self.bench(.logits)
    var bench = made
    let early = try bench.run()
    try early.step()
    trouble.arm(.exploding, after: 0)
    #expect(try early.step().report.loss > 100, "no mean yet")
    trouble.disarm()
    bench.options.explosion = nil
    let careless = try bench.run()
    for _ in 0..<6 { try careless.step() }
    trouble.arm(.exploding, after: 0)
    #expect(try careless.step().report.loss > 100)
  }
}
