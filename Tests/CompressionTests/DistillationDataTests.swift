// What a run sees of its data and of its models: shared vocabularies, prompts that are not predicted, the order of
// sequences, and the recipe.

import BuiltinModels
import Glibc
import OrderedCollections
import Synchronization
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@testable import Compression

private let noting = MethodDescription(id: "noting", version: "1", summary: "")

/// Notes the positions that it is asked about; its loss is one for each.
private final class NotingObjective: Objective {
  let asked = Mutex<[(target: Int, vocabulary: Int)]>([])
  let description = ObjectiveDescription(method: noting, needsTeacher: true, fixedTemperature: false)

  func evaluate(
    _ prediction: Prediction, parameters: [ParameterValue], gradient: UnsafeMutablePointer<Float>, monitor: Monitor,
    diagnostics: Diagnostics
  ) throws -> Double {
    asked.withLock { $0.append((prediction.target, prediction.vocabulary)) }
    gradient.update(repeating: 0, count: prediction.vocabulary)
    return 1
  }
}

/// Notes which positions count.
private final class NotingFeature: FeatureObjective {
  let seen = Mutex<(lengths: [Int], counted: [UInt8])>(([], []))
  let description = FeatureObjectiveDescription(method: noting, isPerSequence: false, needsSameWidth: false)

  func memoryCount(parameters: [ParameterValue], studentWidth: Int, teacherWidth: Int) -> Int { 0 }

  func compare(
    _ features: Features, parameters: [ParameterValue], gradient: UnsafeMutableBufferPointer<Float>, monitor: Monitor,
    diagnostics: Diagnostics
  ) throws -> Double {
    gradient.update(repeating: 0)
    let counted = (0..<features.rows).map { features.counted[$0] }
    seen.withLock { $0 = (features.lengths, counted) }
    return counted.reduce(0) { $0 + Double($1) }
  }
}

@Suite struct DistillationDataTests {
  // MARK: Vocabularies

  /// Of 101 and 117 tokens 95 mean the same: what the student has beyond them takes no part in the loss.
  @Test func entriesThatAreNotShared() throws {
    let bench = try RunBench([.forward(), ObjectiveTerm(Bundled.objective("cross-entropy"))])
    let run = try bench.run(), other = try bench.run(), third = try bench.run()
    let name = "model.embed_tokens.weight", entry = try #require(run.trainer.parameters.layout.entries[name])
    #expect(entry.shape == [101, 20])
    for place in 95 * 20..<entry.count { other.trainer.parameters.block[name][place] = 3 }
    third.trainer.parameters.block[name][94 * 20 + 3] += 0.5
    let step = try run.step()
    #expect(try other.step().report == step.report)
    #expect((95 * 20..<entry.count).allSatisfy { run.trainer.gradients[name][$0] == 0 })
    #expect((0..<95).allSatisfy { row in (0..<20).contains { run.trainer.gradients[name][row * 20 + $0] != 0 } })
    #expect(try third.step().report.loss != step.report.loss)
  }

  /// The loss against the definition in double, over the first 95 logits of either model.
  @Test func cutByHand() throws {
    var bench = try RunBench([.forward(2)])
    bench.options.isShuffled = false
    func logs(_ state: ModelState, _ sequence: Int) throws -> [[Double]] {
      let tokens = bench.dataset.tokens(ofSequence: sequence), V = state.transformer.shape.vocabularySize
      let teacher = Teacher(
        state, batch: Batch(sequences: 1, length: 19), precision: .fp32, memory: .none, store: Engine.store(),
        compute: try Engine.compute)
      let found = try teacher.look(
        at: TrainingBatch(tokens, length: 19), sites: [], cancellation: Cancellation())
      let logits = try found.logits(ofRows: 0..<19, cancellation: Cancellation())
      return (0..<18).map { row in
        let cut = (0..<95).map { Double(logits[row * V + $0]) / 2 }
        return softmax(cut)
      }
    }
    let teacher = try #require(bench.teacher)
    var sum = 0.0
    for sequence in 0..<4 {
      for (p, q) in zip(try logs(teacher, sequence), try logs(bench.student, sequence)) {
        sum += zip(p, q).reduce(0) { $0 + $1.0 * log($1.0 / $1.1) }
      }
    }
    let loss = try bench.run().step().report.loss
    #expect(abs(loss / (4 * sum / 72) - 1) < 1e-5)
    bench.plan.vocabulary = 101
    #expect(abs(try bench.run().step().report.loss / loss - 1) > 1e-3, "a test of the test: other entries show")
  }

  @Test func tokensBeyondTheShared() throws {
    var bench = try RunBench([.forward()])
    bench.plan.vocabulary = 60
    let error = #expect(throws: TrainingError.self) { try bench.run() }
    #expect(error?.kind == "batchInvalid")
    bench.plan.vocabulary = 102
    let more = #expect(throws: TrainingError.self) { try bench.run() }
    #expect(more?.kind == "planInvalid")
  }

  // MARK: Prompts

  /// Prompts of tokens below 40, what follows of tokens from 40 on.
  static func documents(_ packing: Packing) throws -> Dataset {
    var random = Seeded(12)
    let documents = (0..<7).map { number in
      let prompt = (0..<2 + number % 3).map { _ in Int32(random.int(in: 0...39)) }
      let rest = (0..<3 + number % 2).map { _ in Int32(random.int(in: 40...94)) }
      return Document(tokens: prompt + rest, promptTokens: prompt.count)
    }
    return try Dataset(
      documents: PackedDocuments(documents, sequenceLength: 19, packing: packing), vocabularySize: RunBench.shared)
  }

  @Test(arguments: [Packing.none, .bestFit])
  func promptsAreNotPredicted(packing: Packing) throws {
    let objective = NotingObjective(), feature = NotingFeature()
    var bench = try RunBench([ObjectiveTerm(Configured(objective))])
    bench.plan.features = [
      FeatureTerm(Configured(feature), place: .output, pairs: [LayerPair(student: 1, teacher: 1)])
    ]
    bench.dataset = try Self.documents(packing)
    (bench.options.batch, bench.options.accumulation) = (bench.dataset.sequences, 1)
    bench.options.isShuffled = false
    // No gradient at all is no step: it is given something to learn.
    bench.plan.objectives.append(ObjectiveTerm(try Bundled.objective("cross-entropy")))
    let step = try bench.run().step()
    let following = bench.dataset.tokens.filter { $0 >= 40 }.map { Int($0) }
    let asked = objective.asked.withLock { $0 }
    #expect(asked.map(\.target).sorted() == following.sorted() && step.report.tokens == following.count)
    #expect(asked.allSatisfy { $0.vocabulary == RunBench.shared })
    let seen = feature.seen.withLock { $0 }
    let tokens = bench.dataset.tokens
    var expected: [UInt8] = []
    for length in seen.lengths {
      for place in 0..<length { expected.append(place + 1 < length && tokens[expected.count + 1] >= 40 ? 1 : 0) }
    }
    #expect(seen.counted == expected && seen.lengths.count == 7)
    #expect([0, 2].allSatisfy { abs(step.parts[$0].value - 1) < 1e-12 })
  }

  /// Documents that share a window do not see each other: the same loss and gradient as one by one.
  @Test func packedAsOneByOne() throws {
    func first(_ packing: Packing) throws -> (DistillationRun, StepMetrics) {
      var bench = try RunBench([.forward()], features: [.of("hidden-cosine", .output, (2, 1))])
      bench.dataset = try Self.documents(packing)
      (bench.options.batch, bench.options.accumulation) = (bench.dataset.sequences, 1)
      let run = try bench.run()
      return (run, try run.step())
    }
    let (packed, a) = try first(.bestFit), (single, b) = try first(.none)
    #expect(packed.dataset.sequences < single.dataset.sequences)
    #expect(abs(a.report.loss / b.report.loss - 1) < 1e-6)
    #expect(distance(packed.trainer.gradients.values, single.trainer.gradients.values) < 1e-6)
  }

  // MARK: Order

  @Test func everySequenceOnceAnEpoch() {
    var order = DataOrder(count: 7, seed: 3, isShuffled: true)
    let epochs = (0..<5).map { epoch in (0..<7).map { order.sequence(at: 7 * epoch + $0) } }
    #expect(epochs.allSatisfy { $0.sorted() == Array(0..<7) } && Set(epochs).count == 5)
    // What comes at a position does not depend on what was asked before.
    var again = DataOrder(count: 7, seed: 3, isShuffled: true)
    #expect((0..<35).reversed().map { again.sequence(at: $0) } == epochs.flatMap { $0 }.reversed())
    var other = DataOrder(count: 7, seed: 4, isShuffled: true)
    #expect((0..<35).map { other.sequence(at: $0) } != epochs.flatMap { $0 })
    var plain = DataOrder(count: 3, seed: 3, isShuffled: false)
    #expect((0..<7).map { plain.sequence(at: $0) } == [0, 1, 2, 0, 1, 2, 0])
  }

  /// A run takes them in that order: four a step of six.
  @Test func runsGoThroughTheirData() throws {
    let objective = NotingObjective()
    var bench = try RunBench([ObjectiveTerm(Configured(objective)), .forward()])
    var tokens: [Int32] = []
    for sequence in 0..<6 { tokens += [Int32](repeating: Int32(sequence), count: 19) }
    bench.dataset = try Dataset(
      text: tokens, sequenceLength: 19, sequences: nil, sampling: .contiguous, vocabularySize: RunBench.shared)
    let run = try bench.run()
    var found: [Int] = []
    for step in 1...3 {
      try run.step()
      found += objective.asked.withLock { asked in
        defer { asked = [] }
        return Set(asked.map(\.target)).sorted()
      }
      #expect(abs(run.epochs - Double(4 * step) / 6) < 1e-12)
    }
    var order = DataOrder(count: 6, seed: bench.options.seed, isShuffled: true)
    let expected = (0..<3).flatMap { step in Set((0..<4).map { order.sequence(at: 4 * step + $0) }).sorted() }
    #expect(found == expected)
  }

  // MARK: Recipe

  @Test func recipes() throws {
    let three = try TestModel(tiny: "llama3").transformer, two = try TestModel(tiny: "llama-linear").transformer
    let kept = Recipe(student: three, teacher: three, originalLayers: nil, kept: 0.9)
    #expect(kept.name == "logits" && kept.objective == "forward-kl" && kept.features.isEmpty && kept.balance == .fixed)
    #expect(!kept.reason.contains("rounds"))
    #expect(Recipe(student: three, teacher: two, originalLayers: nil, kept: 0.9).name == "logits")

    func cut(_ layers: [Int]?, _ share: Double = 0.7) -> Recipe {
      Recipe(student: two, teacher: three, originalLayers: layers, kept: share)
    }
    let known = cut([1, 2])
    #expect(known.name == "logitsAndInside" && known.balance == .dynamic && known.objective == "forward-kl")
    #expect(known.features.map(\.plugin) == ["hidden-cosine", "hidden-cosine"])
    #expect(known.features.map(\.place) == [.output, .embedding])
    #expect(known.features[0].pairs == [LayerPair(student: 0, teacher: 1)])
    #expect(known.features[1].pairs == [LayerPair(student: 0, teacher: 0)])
    #expect(cut([0, 2]).features[0].pairs == [LayerPair(student: 0, teacher: 0)])
    // Half of two layers deep is one and a half of three deep: behind its second layer.
    #expect(cut(nil).features[0].pairs == [LayerPair(student: 0, teacher: 1)])
    for wrong in [[0], [0, 1, 2], [7, 8]] { #expect(cut(wrong).features == cut(nil).features, "\(wrong)") }
    // Three layers from the end, at the same depth of a deeper teacher unless it is known.
    let deep = try TestModel(path: try #require(BuiltinModels.path(ofModel: "sapling"))).transformer
    let layers = deep.shape.layers, third = Int((Double(layers) / 3).rounded()) - 1
    let shallow = Recipe(student: three, teacher: deep, originalLayers: nil, kept: 0.9)
    #expect(layers > 3 && shallow.features[0].pairs == [LayerPair(student: 0, teacher: third)])
    #expect(shallow.reason.contains("3 of the teacher's \(layers) layers"))
    #expect(!known.reason.contains("rounds"))
    #expect(cut([1, 2], 0.6).reason.contains("It keeps 60 %") && cut([1, 2], 0.6).reason.contains("rounds"))
    #expect(cut([1, 2], 2.0 / 3).reason == known.reason)
  }
}
