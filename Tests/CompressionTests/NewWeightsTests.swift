// Runs that change weights and biases: what a compensator, a refiner or a solver says is what the model computes with.

import Compression
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

/// Doubles what is kept and adds `bias` to every output.
private struct Doubling: Compensator {
  var bias: Float?
  var description: CompensatorDescription {
    CompensatorDescription(
      method: MethodDescription(id: "doubling", version: "1", summary: "", statistics: .moments),
      changesBias: bias != nil)
  }

  func compensate(
    _ matrix: MatrixInput, kept: UnsafeBufferPointer<UInt8>, budget: Budget?, parameters: [ParameterValue],
    weights: UnsafeMutableBufferPointer<Float>, bias out: UnsafeMutableBufferPointer<Float>, monitor: Monitor,
    diagnostics: Diagnostics
  ) throws {
    for index in 0..<weights.count { weights[index] = kept[index] == 1 ? 2 * matrix.weights[index] : 1e-9 }
    if let bias { out.update(repeating: bias) }
  }
}

/// Keeps the first half of every row, at three times its weight.
private struct FirstHalf: Solver {
  let description = SolverDescription(
    method: MethodDescription(id: "first-half", version: "1", summary: "", statistics: [.moments, .gram]),
    defaultGroup: .row)

  func solve(
    _ problems: [Problem], parameters: [ParameterValue], monitor: Monitor, diagnostics: Diagnostics
  ) throws {
    for problem in problems {
      guard let gram = problem.matrix.statistics.input.gram, gram.inputs == problem.matrix.columns else {
        throw CompressionError.termsInvalid(plugin: "first-half", reason: "no Gram matrix")
      }
      for index in 0..<problem.kept.count where index % problem.matrix.columns >= problem.matrix.columns / 2 {
        problem.kept[index] = 0
      }
      for index in 0..<problem.weights.count { problem.weights[index] *= 3 }
      diagnostics.add(Diagnostic(.warning, kind: "shared", tensor: problem.matrix.tensor, "\(problems.count)"))
    }
  }
}

/// Exchanges the first kept and the first pruned weight of the first row.
private struct Exchange: Refiner {
  let description = MethodDescription(id: "exchange", version: "1", summary: "")

  func refine(
    _ matrix: MatrixInput, budget: Budget, scores: ScoreMatrix?, parameters: [ParameterValue],
    kept: UnsafeMutableBufferPointer<UInt8>, monitor: Monitor, diagnostics: Diagnostics
  ) throws {
    guard scores != nil, let zero = (0..<matrix.columns).first(where: { kept[$0] == 0 }),
      let one = (0..<matrix.columns).first(where: { kept[$0] == 1 })
    else { return }
    kept.swapAt(zero, one)
  }
}

@Suite struct NewWeightsTests {
  static let down = "model.layers.1.mlp.down_proj.weight"

  static func run(_ model: TestModel, _ plan: PruningPlan, sequential: Bool) throws -> PruningResult {
    let name = "grouped-f32"
    let dataset = try TestModel.goldenDataset(tiny: name)
    return sequential
      ? try pruneSequentially(
        model.state, plan: plan, dataset: dataset, store: Engine.store(), compute: Engine.compute, monitor: Monitor(),
        diagnostics: Diagnostics())
      : try pruneAtOnce(
        model.state, plan: plan, dataset: dataset, store: Engine.store(), compute: Engine.compute, monitor: Monitor(),
        diagnostics: Diagnostics())
  }

  static func commit(_ model: TestModel, _ result: PruningResult) -> Revision {
    model.history.commit(Operation(method: "test", summary: ""), tensors: model.state.replacing(result.tensors))
  }

  @Test(arguments: [true, false])
  func compensatedWeightsAreWhatTheModelHas(sequential: Bool) throws {
    let model = try TestModel(tiny: "grouped-f32")
    var plan = PruningTests.plan(model, Magnitude(), .ratio(0.5), .row)
    plan.compensator = Configured(Doubling())
    let result = try Self.run(model, plan, sequential: sequential)
    let before = Matrix(model.history.current.tensor(Self.down)).values
    let after = Matrix(Self.commit(model, result).tensor(Self.down)).values
    let lost = pruned(try #require(result.masks[Self.down]))
    for index in before.indices { #expect(after[index] == (lost.contains(index) ? 0 : 2 * before[index])) }
    #expect(try model.history.undo().tensors[Self.down]?.mask == nil)
    #expect(Matrix(model.history.current.tensor(Self.down)).values == before, "undo gives the same bits")
  }

  /// A bias that a map did not have is added to what it says; the numbers are those of a model with such a bias.
  @Test(arguments: [true, false])
  func addedBiasesAreAdded(sequential: Bool) throws {
    let model = try TestModel(tiny: "grouped-f32"), dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    var plan = PruningPlan(
      criterion: Criterion(Magnitude()), target: .ratio(0), group: .row,
      tensors: try model.state.prunableTensors(matching: [Self.down]))
    plan.compensator = Configured(Doubling(bias: 0.25))
    let result = try Self.run(model, plan, sequential: sequential)
    let revision = Self.commit(model, result)
    let bias = "model.layers.1.mlp.down_proj.bias"
    let keys = Array(revision.tensors.keys)
    #expect(keys.firstIndex(of: bias) == keys.firstIndex(of: Self.down).map { $0 + 1 })
    #expect(revision.tensors[bias].map { Matrix($0.masked).values } == Array(repeating: 0.25, count: 24))

    let shifted = try Self.perplexity(model, dataset)
    var again = PruningPlan(criterion: Criterion(Magnitude()), target: .ratio(0), group: .row, tensors: plan.tensors)
    again.compensator = Configured(Doubling(bias: -0.25))
    let back = try Self.run(model, again, sequential: sequential)
    let twice = Self.commit(model, back)
    #expect(twice.tensors[bias].map { Matrix($0.masked).values } == Array(repeating: 0, count: 24), "biases add up")
    #expect(try Self.perplexity(model, dataset) != shifted)
  }

  /// A folder with added biases loads here, switches on and zeros where a map has none, and says the same.
  @Test func addedBiasesAreExported() throws {
    let model = try TestModel(tiny: "grouped-f32"), dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    var plan = PruningPlan(
      criterion: Criterion(Magnitude()), target: .ratio(0.25), group: .row,
      tensors: try model.state.prunableTensors(matching: [Self.down, "*.0.self_attn.k_proj.*"]))
    plan.compensator = Configured(Doubling(bias: 0.125))
    _ = Self.commit(model, try Self.run(model, plan, sequential: false))
    let folder = TemporaryFolder()
    try ModelExportTests.export(model, to: folder.file("biased"))
    let loaded = try TestModel(path: folder.file("biased"))
    #expect(try Self.perplexity(loaded, dataset) == Self.perplexity(model, dataset))
    let zeros = loaded.history.current.tensors["model.layers.1.self_attn.o_proj.bias"]
    #expect(zeros.map { Matrix($0.masked).values.allSatisfy { $0 == 0 } } == true)
  }

  static func perplexity(_ model: TestModel, _ dataset: Dataset) throws -> Double {
    try evaluatePerplexity(model.state, dataset: dataset, compute: Engine.compute, monitor: Monitor()).perplexity
  }

  @Test(arguments: [true, false])
  func solversSeeAllReadersOfAnInput(sequential: Bool) throws {
    let model = try TestModel(tiny: "grouped-f32"), dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let diagnostics = Diagnostics()
    let plan = PruningPlan(
      method: .solver(Configured(FirstHalf())), target: .ratio(0.5), group: .row, tensors: model.state.prunableTensors)
    let result =
      sequential
      ? try pruneSequentially(
        model.state, plan: plan, dataset: dataset, store: Engine.store(), compute: Engine.compute, monitor: Monitor(),
        diagnostics: diagnostics)
      : try pruneAtOnce(
        model.state, plan: plan, dataset: dataset, store: Engine.store(), compute: Engine.compute, monitor: Monitor(),
        diagnostics: diagnostics)
    let shared = diagnostics.all.kept.filter { $0.kind == "shared" }
    #expect(shared.first { $0.tensor?.hasSuffix("0.self_attn.k_proj.weight") == true }?.message == "3")
    #expect(shared.first { $0.tensor?.hasSuffix("0.mlp.up_proj.weight") == true }?.message == "2")
    #expect(shared.first { $0.tensor?.hasSuffix("0.mlp.down_proj.weight") == true }?.message == "1")
    let before = Matrix(model.history.current.tensor(Self.down))
    let after = Matrix(Self.commit(model, result).tensor(Self.down)).values
    for index in after.indices {
      let isKept = index % before.columns < before.columns / 2
      #expect(after[index] == (isKept ? Double(Float(before.values[index]) * 3) : 0))
    }
  }

  @Test func refinersChangeTheMask() throws {
    let model = try TestModel(tiny: "grouped-f32")
    var plan = PruningTests.plan(model, Magnitude(), .ratio(0.5), .row)
    let plain = try Self.run(model, plan, sequential: false)
    plan.refiner = Configured(Exchange())
    let refined = try Self.run(model, plan, sequential: false)
    for (name, mask) in plain.masks {
      let other = try #require(refined.masks[name])
      #expect(pruned(mask).symmetricDifference(pruned(other)).count == 2, "\(name)")
    }
  }

  /// Weights that a round prunes are gone, and the last round meets the target.
  @Test func roundsEndAtTheTarget() throws {
    let model = try TestModel(tiny: "grouped-f32")
    var plan = PruningTests.plan(model, Magnitude(), .ratio(0.5), .row)
    plan.compensator = Configured(Doubling())
    plan.rounds = 3
    let result = try Self.run(model, plan, sequential: false)
    let once = try Self.run(model, PruningTests.plan(model, Magnitude(), .ratio(0.5), .row), sequential: false)
    #expect(result.masks == once.masks, "doubling what is kept leaves the order as it was")
    let before = Matrix(model.history.current.tensor(Self.down)).values
    let after = try #require(result.tensors[Self.down]?.weights?.readOnly)
    #expect(zip(after, before).allSatisfy { $0 == 0 || Double($0) == 2 * $1 }, "compensated from the first weights")
  }
}
