// The validation of a run's student, and the share of its own text that follows it.

import Foundation
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@testable import Compression

@Suite struct ValidationTests {
  private static func bench(every steps: Int, of all: Int) throws -> RunBench {
    var bench = try RunBench([.forward()])
    bench.options.validation = ValidationPlan(try RunBench.dataset(sequences: 4, seed: 9), everySteps: steps)
    bench.options.schedule = try Schedule(.constant, learningRate: 2e-3, steps: all)
    return bench
  }

  /// The student as a revision.
  private static func committed(_ run: DistillationRun) -> ModelState {
    let operation = run.operation(teacher: nil)
    return ModelState(
      transformer: run.student.transformer,
      revision: History(tensors: run.committedTensors(), operation: operation).current)
  }

  @Test func beforeBetweenAndBehind() throws {
    let run = try Self.bench(every: 2, of: 5).run()
    var steps: [Int] = []
    while run.steps < 5 {
      if let found = try run.validate(monitor: Monitor(), diagnostics: Diagnostics()) { steps.append(found.step) }
      #expect(try run.validate(monitor: Monitor(), diagnostics: Diagnostics()) == nil, "once is enough")
      try run.step()
    }
    if let found = try run.validate(monitor: Monitor(), diagnostics: Diagnostics()) { steps.append(found.step) }
    #expect(steps == [0, 2, 4, 5])
    // Whoever does not ask has it done before the step.
    let other = try Self.bench(every: 2, of: 5).run()
    for _ in 0..<3 { try other.step() }
    #expect(other.validation?.step == 2 && !other.validationIsDue)
  }

  /// What evaluate/perplexity and evaluate/divergence would say of the commit.
  @Test(arguments: [false, true]) func saysWhatEvaluationsSay(hasEqualVocabulary: Bool) throws {
    var bench = try Self.bench(every: 3, of: 6)
    if hasEqualVocabulary { bench.teacher = try TrainingFamily("llama3").model.state }
    let run = try bench.run(), teacher = try #require(bench.teacher)
    for _ in 0..<3 { try run.step() }
    let found = try #require(try run.validate(monitor: Monitor(), diagnostics: Diagnostics()))
    let data = try RunBench.dataset(sequences: 4, seed: 9), state = Self.committed(run)
    let perplexity = try PerplexityTests.evaluate(state, data)
    #expect(abs(found.loss - perplexity.nll) < 1e-6 && abs(found.perplexity / perplexity.perplexity - 1) < 1e-5)
    #expect(found.step == 3 && found.ownTextShare == nil)
    guard hasEqualVocabulary else {
      #expect(found.meanKL == nil && found.sameTopToken == nil)
      return
    }
    let divergence = try evaluateDivergence(
      state, from: teacher, dataset: data, store: Engine.store(), compute: Engine.compute, monitor: Monitor())
    #expect(found.meanKL == divergence.meanKL && found.sameTopToken == divergence.sameTopToken)
    #expect(divergence.meanKL > 0)
  }

  @Test func teachingTextFlatters() throws {
    var bench = try Self.bench(every: 1, of: 5)
    let fair = Diagnostics(), unfair = Diagnostics()
    _ = try bench.run().validate(monitor: Monitor(), diagnostics: fair)
    bench.options.validation = ValidationPlan(bench.dataset, everySteps: 1)
    _ = try bench.run().validate(monitor: Monitor(), diagnostics: unfair)
    #expect(fair.all.kept.isEmpty && unfair.all.kept.map(\.kind) == ["calibrationIsEvaluation"])
  }

  /// A validation that is cancelled is still due, and the run is as it was.
  @Test func cancelled() throws {
    let bench = try Self.bench(every: 2, of: 6), run = try bench.run(), straight = try bench.run()
    for _ in 0..<2 { try run.step() }
    #expect(throws: Cancelled.self) {
      try run.validate(monitor: cancelling(afterReports: 1), diagnostics: Diagnostics())
    }
    #expect(run.validationIsDue && run.validation?.step == 0)
    for _ in 0..<4 { try straight.step() }
    for _ in 0..<2 { try run.step() }
    #expect(run.bits == straight.bits && run.validation == straight.validation)
  }

  /// What cannot be validated on is refused before the first step.
  @Test func unusableTexts() throws {
    var bench = try Self.bench(every: 2, of: 6)
    let long = (0..<65).map { _ in Int32(7) }
    bench.options.validation = ValidationPlan(
      try Dataset(text: long, sequenceLength: 65, sequences: nil, sampling: .contiguous, vocabularySize: RunBench.shared),
      everySteps: 1)
    #expect(throws: TransformerError.self) { try bench.run() }
    bench.options.validation = ValidationPlan(
      try Dataset(
        documents: PackedDocuments([Document(tokens: [1, 2, 3], promptTokens: 3)], sequenceLength: 9, packing: .none),
        examples: [], vocabularySize: RunBench.shared), everySteps: 1)
    #expect(throws: CompressionError.nothingPredicted) { try bench.run() }
  }

  @Test func adaptationNeedsAValidation() throws {
    var bench = try Self.bench(every: 2, of: 6)
    bench.options.onPolicy = OnPolicy(
      fraction: 0, promptTokens: 5, maximumTokens: 7, adaptation: .init(memory: 1))
    #expect(throws: TrainingError.self) { try bench.run() }
    bench.options.onPolicy?.adaptation?.memory = 2
    _ = try bench.run()
    bench.options.validation = nil
    #expect(throws: TrainingError.self) { try bench.run() }
  }
}

@Suite struct OwnTextTests {
  private static func texts(_ count: Int) -> [WrittenText] {
    (0..<count).map { WrittenText(prompt: [Int32($0), 1], completion: [2, Int32($0), 3]) }
  }

  /// The share rises when the loss has risen by the tolerance since it last did; what falls is not followed down.
  @Test func followsTheLoss() {
    var own = OwnText(share: 0)
    let adaptation = OnPolicy.Adaptation(rise: 0.4, tolerance: 0.1, memory: 2)
    let shares = [3.0, 3.05, 2.5, 3.1, 3.15, 3.25, 3.3, 9].map { loss in
      own.adapt(to: loss, adaptation)
      return own.share
    }
    #expect(shares == [0, 0, 0, 0.4, 0.4, 0.8, 0.8, 1])
    #expect(own.level == 9)
  }

  /// Below the share the student's text: anew while the memory is not full, later the rarer the nearer the end.
  @Test func choices() {
    let adaptation = OnPolicy.Adaptation(rise: 0.1, tolerance: 0, memory: 2)
    var own = OwnText(share: 0.5)
    #expect(own.choice(0.5, progress: 0, adaptation) == .dataset)
    #expect(own.choice(0.49, progress: 0.9, adaptation) == .written, "nothing is remembered yet")
    own.remember(Self.texts(3), atMost: 2)
    #expect(own.texts == Array(Self.texts(3).suffix(2)))
    #expect(own.choice(0.49, progress: 0.9, adaptation) == .remembered)
    #expect(own.choice(0.04, progress: 0.9, adaptation) == .written)
    #expect(own.choice(0.49, progress: 0, adaptation) == .written)
    #expect(own.choice(0.49, progress: 0.9, nil) == .written, "without a memory always anew")
    var random = SplitMix64(seed: 1)
    #expect(own.recalled(2, using: &random).sorted { $0.prompt[0] < $1.prompt[0] } == own.texts)
  }

  @Test func throughFloats() {
    let own = OwnText(share: 0.5, texts: Self.texts(3))
    func read(_ change: (UnsafeMutablePointer<Float>) -> Void) -> [WrittenText]? {
      let buffer = own.floats(memory: 4, width: 6)
      change(buffer.pointer)
      return OwnText.texts(buffer, memory: 4, width: 6, vocabulary: 10)
    }
    #expect(read { _ in } == own.texts)
    for (place, value) in [(0, Float.nan), (0, -1), (0, 0), (1, 5), (1, 0.5), (2, 10), (3, .infinity), (2, 1.5)] {
      #expect(read { $0[place] = value } == nil, "\(value) at \(place)")
    }
  }
}
