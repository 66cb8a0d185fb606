// The loss when one layer is pruned: against whole evaluations, and that nothing is computed twice.

import BuiltinModels
import Compression
import OrderedCollections
import Synchronization
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct SensitivityTests {
  private static func question(
    _ state: ModelState, _ dataset: Dataset, by selector: (any Selector)?, calibration: Dataset? = nil,
    window: Int? = nil
  ) throws -> SensitivityQuestion {
    SensitivityQuestion(
      state, windows: try DatasetWindows(dataset, length: window),
      pruning: selector.map {
        LayerPruningRequest(
          method: .selector(Criterion($0)), group: nil, calibration: calibration ?? dataset,
          tensors: state.prunableTensors)
      })
  }

  private static func find(
    _ question: SensitivityQuestion, _ table: SensitivityTable, layers: [Int] = [0, 1], sparsities: [Double],
    monitor: Monitor = Monitor(), found: (SensitivityPoint) throws -> Void = { _ in }
  ) throws {
    try question.find(
      table, layers: layers, sparsities: sparsities, store: Engine.store(), compute: Engine.compute, monitor: monitor,
      diagnostics: Diagnostics(), found: found)
  }

  /// To the bit what a revision with that one layer pruned gives, many batches of windows included.
  @Test(arguments: ["magnitude", "wanda"], [nil, 7])
  func pointsAreThoseOfRevisions(method: String, window: Int?) throws {
    let model = try TestModel(tiny: "grouped-f32"), dense = model.state
    let dataset = try TestModel.randomDataset(seed: 3, sequences: 120, length: 19)
    let calibration = try TestModel.goldenDataset(tiny: "grouped-f32")
    let selector: any Selector = method == "wanda" ? Wanda() : Magnitude()
    let question = try Self.question(dense, dataset, by: selector, calibration: calibration, window: window)
    let table = SensitivityTable(question.key)
    #expect(table.baseline == nil && table.points.isEmpty && table.curve(layer: 0) == nil)
    var found: [SensitivityPoint] = []
    try Self.find(question, table, sparsities: [0.25, 0.5]) { found.append($0) }
    #expect(table.baseline == (try PerplexityTests.evaluate(dense, dataset, window: window).nll))
    #expect(found == table.points && found.count == 4)
    for point in found {
      let tensors = dense.prunableTensors.filter { $0.value.layer == point.layer }
      let plan = PruningPlan(
        method: .selector(Criterion(selector)), target: .ratio(point.sparsity),
        group: selector.description.defaultGroup, tensors: tensors)
      let pruned = try pruneAtOnce(
        dense, plan: plan, dataset: calibration, store: Engine.store(), compute: Engine.compute, monitor: Monitor(),
        diagnostics: Diagnostics())
      #expect(pruned.masks.count == 7)
      let whole = try PerplexityTests.evaluate(model.commit(pruned.masks), dataset, window: window)
      #expect(point.loss == whole.nll, "layer \(point.layer) at \(point.sparsity)")
      model.commit(pruned.masks.mapValues { MaskBits(keepingAll: $0.rows, columns: $0.columns) })
    }
    let curve = try #require(table.curve(layer: 1))
    #expect(curve.sparsities == [0, 0.25, 0.5])
    #expect(curve.losses == [try #require(table.baseline)] + found.suffix(2).map(\.loss))
  }

  /// A layer that is left out passes on what enters it.
  @Test func layersLeftOut() throws {
    let model = try TestModel(tiny: "grouped-f32"), dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let question = try Self.question(model.state, dataset, by: nil)
    let table = SensitivityTable(question.key)
    try Self.find(question, table, sparsities: [1])
    let naive = try NaiveLlama(model)
    for removed in 0..<2 {
      let losses = (0..<2).flatMap { sequence in
        let tokens = dataset.tokens(ofSequences: sequence..<sequence + 1)
        var hidden = naive.embed(tokens)
        for layer in 0..<2 where layer != removed { hidden = naive.layer(layer, hidden) }
        return naive.losses(hidden, tokens)
      }
      let expected = losses.reduce(0, +) / Double(losses.count)
      #expect(abs(try #require(table.loss(layer: removed, sparsity: 1)) / expected - 1) < 1e-5)
    }
  }

  /// Counts what it scores.
  private final class Counting: Selector {
    let description = Magnitude().description
    let scored = Mutex<[String]>([])

    func score(
      _ input: MatrixInput, parameters: [ParameterValue], into scores: UnsafeMutableBufferPointer<Float>,
      monitor: Monitor, diagnostics: Diagnostics
    ) throws {
      scored.withLock { $0.append(input.tensor) }
      try Magnitude().score(
        input, parameters: parameters, into: scores, monitor: monitor, diagnostics: diagnostics)
    }
  }

  @Test func knownPointsAreNotComputedAgain() throws {
    let state = try TestModel(tiny: "grouped-f32").state, dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let selector = Counting()
    let question = try Self.question(state, dataset, by: selector), table = SensitivityTable(question.key)
    // Cancelled by its own listener once the first point is there: that one stays.
    let cancellation = Cancellation()
    #expect(throws: Cancelled.self) {
      try Self.find(question, table, sparsities: [0.3, 0.6], monitor: Monitor(cancellation: cancellation)) { _ in
        cancellation.cancel()
      }
    }
    #expect(table.points.map(\.layer) == [0] && table.points.map(\.sparsity) == [0.3])
    #expect(selector.scored.withLock { $0.count } == 7)
    var found: [SensitivityPoint] = []
    try Self.find(question, table, sparsities: [0.3, 0.6]) { found.append($0) }
    #expect(found.map(\.layer) == [0, 1, 1] && found.map(\.sparsity) == [0.6, 0.3, 0.6])
    #expect(selector.scored.withLock { $0.count } == 28)
    try Self.find(question, table, layers: [1], sparsities: [0.3, 0.6]) { _ in Issue.record("nothing is new") }
    #expect(selector.scored.withLock { $0.count } == 28)
    // The same to the bit as in one go.
    let other = SensitivityTable(question.key)
    try Self.find(question, other, sparsities: [0.3, 0.6])
    #expect(other.points == table.points && other.baseline == table.baseline)
  }

  /// The key tells apart all that a point depends on, and nothing else.
  @Test func keys() throws {
    let model = try TestModel(tiny: "grouped-f32"), dense = model.state
    let dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let random = try TestModel.randomDataset(seed: 1, sequences: 2, length: 19)
    let key = try Self.question(dense, dataset, by: Wanda()).key
    #expect(key == (try Self.question(dense, dataset, by: Wanda()).key))
    #expect(key == (try Self.question(dense, dataset, by: Wanda(), window: 19).key))
    let name = "model.layers.1.mlp.up_proj.weight"
    let edited = model.commit(try edit(dense, [MaskEdit(.prune, .rows(tensor: name, [0]))]).masks)
    let others = [
      try Self.question(edited, dataset, by: Wanda()), try Self.question(dense, random, by: Wanda()),
      try Self.question(dense, dataset, by: Wanda(), calibration: random),
      try Self.question(dense, dataset, by: Wanda(), window: 7), try Self.question(dense, dataset, by: Magnitude()),
      try Self.question(dense, dataset, by: nil),
    ].map(\.key)
    #expect(Set(others + [key]).count == 7)
    // Magnitudes do not depend on data.
    #expect(
      try Self.question(dense, dataset, by: Magnitude()).key
        == Self.question(dense, dataset, by: Magnitude(), calibration: random).key)
    #expect(try Self.question(dense, dataset, by: Wanda()).calibratesOnEvaluation)
    #expect(try !Self.question(dense, dataset, by: Wanda(), calibration: random).calibratesOnEvaluation)
    #expect(try !Self.question(dense, dataset, by: Magnitude()).calibratesOnEvaluation)
  }

  /// A trained model suffers when nearly all of a layer is pruned. (A little less is within the noise of a short text.)
  @Test func moreHurtsMore() throws {
    let run = try SaplingReferenceTests.loaded.get()
    let dataset = try Dataset(
      text: run.evaluation.tokens, sequenceLength: 128, sequences: 4, sampling: .contiguous, vocabularySize: 2048)
    let question = try Self.question(run.model.state, dataset, by: Magnitude()), table = SensitivityTable(question.key)
    try Self.find(question, table, layers: [0, 3, 5], sparsities: [0.3, 0.6, 0.9])
    for layer in [0, 3, 5] {
      let losses = try #require(table.curve(layer: layer)).losses
      #expect(losses.count == 4 && losses.dropLast().allSatisfy { losses[3] > $0 + 0.05 }, "layer \(layer): \(losses)")
    }
  }

  @Test(arguments: [[2], [0, 5], [-1]])
  func layersOutside(layers: [Int]) throws {
    let state = try TestModel(tiny: "grouped-f32").state, dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let question = try Self.question(state, dataset, by: Magnitude())
    let outside = layers.first { $0 < 0 || $0 > 1 } ?? 0
    #expect(throws: CompressionError.layerNotFound(layer: outside, layers: 2)) {
      try Self.find(question, SensitivityTable(question.key), layers: layers, sparsities: [0.5])
    }
  }

  @Test func cancelledAnywhere() throws {
    let state = try TestModel(tiny: "grouped-f32").state
    let dataset = try TestModel.randomDataset(seed: 3, sequences: 260, length: 19)
    let question = try Self.question(state, dataset, by: Wanda())
    for reports in stride(from: 1, through: 19, by: 3) {
      #expect(throws: Cancelled.self) {
        try Self.find(
          question, SensitivityTable(question.key), sparsities: [0.5], monitor: cancelling(afterReports: reports))
      }
    }
  }
}
