// Twenty steps of distillation as PyTorch takes them: objectives, temperatures, learned maps, the balance, rewards.

import Checkpoints
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@testable import Compression

@Suite struct DistillationGoldenTests {
  /// A run of distillation_goldens.py.
  enum Run: String, CaseIterable {
    case mixed, balanced
    case forward = "forward-kl"
    case jensenShannon = "jensen-shannon"
    case hiddenCosine = "hidden-cosine"

    func plan() throws -> LossPlan {
      switch self {
      case .forward: return LossPlan(objectives: [try .forward()], vocabulary: RunBench.shared)
      case .jensenShannon:
        return LossPlan(
          objectives: [ObjectiveTerm(try Bundled.objective("jensen-shannon"))], vocabulary: RunBench.shared)
      case .mixed:
        return LossPlan(
          objectives: [
            ObjectiveTerm(try Bundled.objective("cross-entropy"), weight: 0.3), try .forward(3, weight: 0.7),
          ], vocabulary: RunBench.shared)
      case .hiddenCosine:
        return LossPlan(
          objectives: [try .forward()], features: [try .of("hidden-cosine", .output, (0, 0), (2, 1), weight: 0.8)],
          vocabulary: RunBench.shared)
      case .balanced:
        return LossPlan(
          objectives: [try .forward(1)],
          features: [
            try .of("hidden-cosine", .output, (1, 0)), try .of("hidden-cosine", .embedding, (0, 0), weight: 0.5),
          ], balance: .dynamic, vocabulary: RunBench.shared)
      }
    }
  }

  static let golden = Result {
    try Golden("\(Repository.goldens(of: "CompressionTests"))/distillation.golden.safetensors")
  }

  static func bench(_ run: Run) throws -> RunBench {
    var bench = try RunBench([])
    bench.plan = try run.plan()
    bench.options.schedule = try Schedule(.cosine, learningRate: 2e-3, steps: 20, warmupSteps: 4, minimum: 0.1)
    bench.options.isShuffled = false
    bench.dataset = try Dataset(
      text: golden.get().numbers("tokens").values.map { Int32($0) }, sequenceLength: 19, sequences: nil,
      sampling: .contiguous, vocabularySize: RunBench.shared)
    return bench
  }

  static func train(_ bench: RunBench, maps: Bool = true) throws -> [StepMetrics] {
    let run = try bench.run()
    if maps, let companion = run.projections.companion {
      for name in companion.parameters.layout.entries.keys {
        for (place, value) in try golden.get().numbers(name).values.enumerated() {
          companion.parameters.block[name][place] = Float(value)
        }
      }
    }
    return try (0..<20).map { _ in try run.step() }
  }

  static func difference(_ steps: [StepMetrics], _ run: Run) throws -> String? {
    let golden = try golden.get(), tolerance = Tolerance(relative: 1e-4)
    let losses = try golden.difference(Numbers(steps.map(\.report.loss)), from: "\(run.rawValue).losses", tolerance)
    let norms = try golden.difference(
      Numbers(steps.map(\.report.gradientNorm)), from: "\(run.rawValue).gradientNorms", tolerance)
    guard run == .balanced else { return losses ?? norms }
    let alphas = try golden.difference(Numbers(steps.compactMap(\.balance)), from: "balanced.alphas", tolerance)
    return losses ?? norms ?? alphas
  }

  @Test(arguments: Run.allCases)
  func twentyStepsAgreeWithPyTorch(run: Run) throws {
    let steps = try Self.train(Self.bench(run))
    #expect(try Self.difference(steps, run) == nil)
    #expect(steps.map(\.step) == Array(1...20) && steps.allSatisfy { $0.report.tokens == 72 && $0.sequences == 4 })
    #expect(steps.allSatisfy { ($0.balance != nil) == (run == .balanced) })
  }

  /// Tests of the test: what differs in the recipe shows.
  @Test(arguments: ["temperature", "square", "vocabulary", "rate", "order", "masks", "accumulation"])
  func otherRecipesShow(change: String) throws {
    var bench = try Self.bench(.forward)
    let objective = bench.plan.objectives[0].objective
    switch change {
    case "temperature": bench.plan.objectives = [ObjectiveTerm(objective, temperature: 2.05)]
    case "square": bench.plan.objectives = [ObjectiveTerm(objective, temperature: 2, squaresTemperature: false)]
    case "vocabulary": bench.plan.vocabulary = 96
    case "rate":
      bench.options.schedule = try Schedule(.cosine, learningRate: 2e-3, steps: 20, warmupSteps: 5, minimum: 0.1)
    case "order": bench.options.isShuffled = true
    case "masks": bench.student = try TrainingFamily("llama3").model.state
    default: (bench.options.batch, bench.options.accumulation) = (2, 1)
    }
    #expect(try Self.difference(Self.train(bench), .forward) != nil)
  }

  @Test(arguments: ["maps", "pair", "weight", "balance"])
  func otherFeaturesShow(change: String) throws {
    let run = change == "balance" ? Run.balanced : .hiddenCosine
    var bench = try Self.bench(run)
    switch change {
    case "pair": bench.plan.features = [try .of("hidden-cosine", .output, (0, 0), (2, 0), weight: 0.8)]
    case "weight": bench.plan.features = [try .of("hidden-cosine", .output, (0, 0), (2, 1), weight: 0.801)]
    case "balance": bench.plan.balance = .fixed
    default: break
    }
    #expect(try Self.difference(Self.train(bench, maps: change != "maps"), run) != nil)
  }

  /// The fixed samples of policy_goldens.py, taught the way a run does it: as a part of the lesson of distillation.
  @Test(arguments: PolicyRun.allCases)
  func rewardsWithinARun(run: PolicyRun) throws {
    let golden = try PolicyGolden(), state = try TrainingFamily("llama3").model.state, compute = try Engine.compute
    let samples = PolicyLesson(try run.sequences(golden), options: run.options, tokens: 30)
    let trainer = Trainer(
      state, batch: Batch.covering(samples.batches.map(\.batch)), options: TrainingFamily.options, compute: compute)
    let plan = LossPlan(objectives: [], vocabulary: 101)
    let projections = Projections(
      plan, student: state.transformer, teacher: nil, options: TrainingFamily.options.optimizer, seed: 0,
      compute: compute)
    let losses = try (0..<20).map { _ in
      let lesson = DistillationLesson(
        plan, student: state.transformer, teacher: nil, projections: projections, memories: [:],
        policies: samples.makeLosses(), scratch: (0..<compute.pool.threads).map { _ in RowScratch(vocabulary: 101) },
        seed: 0, compute: compute, monitor: Monitor(), diagnostics: Diagnostics()
      ) { _ in }
      return try trainer.step(samples.batches, lesson: lesson, learningRate: 1e-4, cancellation: Cancellation()).loss
    }
    #expect(samples.batches.count > 1)
    let name = "steps.\(run.rawValue).losses", tolerance = Tolerance(relative: 1e-4)
    #expect(try golden.golden.difference(Numbers(losses), from: name, tolerance) == nil)
    #expect(try golden.golden.difference(Numbers(losses.reversed()), from: name, tolerance) != nil)
  }
}
