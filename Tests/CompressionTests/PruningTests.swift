// Scoring and whole pruning runs on tiny models, against plain loops.

import Compression
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct ScoringTests {
  static func scored(
    _ model: TestModel, _ criterion: Criterion, dataset: Dataset? = nil, store: StatisticsStore = Engine.store(),
    monitor: Monitor = Monitor()
  ) throws -> Scoring {
    try score(
      model.state, model: "tiny", tensors: model.state.prunableTensors,
      request: ScoringRequest(criterion, dataset: dataset), store: store, compute: Engine.compute, monitor: monitor,
      diagnostics: Diagnostics())
  }

  @Test(arguments: TestModel.tiny)
  func magnitudeIsThatOfTheWeights(name: String) throws {
    let model = try TestModel(tiny: name)
    let scoring = try Self.scored(model, Criterion(Magnitude()))
    #expect(Array(scoring.scores.tensors.keys) == Array(model.state.prunableTensors.keys))
    #expect(scoring.neededLayers == 0 && scoring.reusedLayers == 0)
    for (tensor, scores) in scoring.scores.tensors {
      let weights = Matrix(model.history.current.tensor(tensor)).values
      #expect(scores.matrix.values.readOnly.map(Double.init) == weights.map(\.magnitude))
    }
    #expect(
      scoring.scores.provenance
        == ScoreProvenance(
          model: "tiny", revision: "r0", plugin: "magnitude", pluginVersion: "1", parameters: [:], dataset: nil))
    #expect(scoring.scores.bytes == 4 * model.state.prunableTensors.values.reduce(0) { $0 + $1.elementCount })
  }

  @Test func prunedWeightsScoreAsZero() throws {
    let model = try ModelExportTests.pruned("tied-bf16")
    for (tensor, scores) in try Self.scored(model, Criterion(Magnitude())).scores.tensors {
      let lost = pruned(try #require(model.history.current.tensors[tensor]?.mask?.bits))
      #expect(lost.allSatisfy { scores.matrix.values.readOnly[$0] == 0 })
    }
  }

  /// A score of another dataset or none is another thing, and the provenance says so.
  @Test func statisticsComeFromTheDataset() throws {
    let model = try TestModel(tiny: "grouped-f32"), dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let store = Engine.store()
    let first = try Self.scored(model, Criterion(Wanda()), dataset: dataset, store: store)
    #expect(first.neededLayers == 2 && first.reusedLayers == 0)
    #expect(first.scores.provenance.dataset == dataset.digest && first.scores.defaultGroup == .row)
    let again = try Self.scored(model, Criterion(Wanda()), dataset: dataset, store: store)
    #expect(again.reusedLayers == 2)
    let moments = try CalibrationTests.calibrated(model.state, dataset, store: store).moments(1)[3]
    let name = "model.layers.1.mlp.down_proj.weight"
    let weights = Matrix(model.history.current.tensor(name))
    let expected = weights.values.enumerated().map { index, weight in
      weight.magnitude * (moments.sumOfSquares[index % 56] / 2).squareRoot()
    }
    let actual = try #require(first.scores.tensors[name]?.matrix.values.readOnly)
    #expect(difference(Numbers(actual), Numbers(expected, dtype: .f32), Tolerance(relative: 1e-6)) == nil)
    #expect(Array(actual) == again.scores.tensors[name].map { Array($0.matrix.values.readOnly) })
  }

  @Test func statisticsNeedADataset() throws {
    let error = try #require(throws: CompressionError.self) {
      try Self.scored(TestModel(tiny: "grouped-f32"), Criterion(Wanda()))
    }
    #expect(error == .datasetRequired(plugin: "wanda"))
  }

  @Test(arguments: [0, 17, 575])
  func nanIsAnErrorThatNamesItsPlace(index: Int) throws {
    let broken = Custom { input, _, out, _ in
      out.initialize(repeating: 1)
      if input.tensor.hasSuffix("1.self_attn.o_proj.weight") { out[index] = .nan }
    }
    let model = try TestModel(tiny: "grouped-f32")
    let expected = CompressionError.nonFiniteScores(
      plugin: "custom", tensor: "model.layers.1.self_attn.o_proj.weight", index: index)
    #expect(throws: expected) { try Self.scored(model, Criterion(broken)) }
    let plan = PruningPlan(
      criterion: Criterion(broken), target: .ratio(0.5), group: .row, tensors: model.state.prunableTensors)
    let dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    #expect(throws: expected) {
      try pruneSequentially(
        model.state, plan: plan, dataset: dataset, store: Engine.store(), compute: Engine.compute, monitor: Monitor(), diagnostics: Diagnostics())
    }
    #expect(model.history.log.revisions.count == 1)
  }

  @Test func infinityIsAScore() throws {
    let forced = Custom { _, _, out, _ in
      out.initialize(repeating: -.infinity)
      out[3] = .infinity
    }
    let scoring = try Self.scored(try TestModel(tiny: "grouped-f32"), Criterion(forced))
    #expect(scoring.scores.tensors.values.allSatisfy { $0.summary.maximum == .infinity })
  }

  /// The selector sees the parameters in the order of its description, and the tensor's place.
  @Test func selectorsAreToldWhatTheyScore() throws {
    struct Unexpected: Error {}
    let parameters = ["a", "b"].map {
      ParameterDescription(name: $0, summary: "", kind: .number(default: 0, minimum: 0, maximum: 9))
    }
    let selector = Custom(parameters: parameters) { input, values, out, _ in
      guard values == [.number(1), .number(2)], input.statistics.input.moments == nil, out.count == input.rows * input.columns,
        input.weights.count == out.count, input.layer.map({ input.tensor.contains("layers.\($0).") }) == true
      else { throw Unexpected() }
      out.initialize(repeating: 1)
    }
    let criterion = Criterion(selector, parameters: ["a": .number(1), "b": .number(2)])
    #expect(criterion.summary == "custom (a 1.0, b 2.0)")
    _ = try Self.scored(try TestModel(tiny: "grouped-f32"), criterion)
    #expect(throws: Unexpected.self) {
      try Self.scored(try TestModel(tiny: "grouped-f32"), Criterion(selector, parameters: ["a": .boolean(true)]))
    }
  }

  @Test func cancelledScoringThrows() throws {
    let model = try TestModel(tiny: "grouped-f32")
    for reports in [1, 3, 14] {
      #expect(throws: Cancelled.self) {
        try Self.scored(model, Criterion(Magnitude()), monitor: cancelling(afterReports: reports))
      }
    }
  }
}

@Suite struct PruningTests {
  static func plan(_ model: TestModel, _ selector: any Selector, _ target: SparsityTarget, _ group: MaskGroup) -> PruningPlan {
    PruningPlan(criterion: Criterion(selector), target: target, group: group, tensors: model.state.prunableTensors)
  }

  static func sequentially(
    _ model: TestModel, _ plan: PruningPlan, _ dataset: Dataset, monitor: Monitor = Monitor()
  ) throws -> PruningResult {
    try pruneSequentially(
      model.state, plan: plan, dataset: dataset, store: Engine.store(), compute: Engine.compute, monitor: monitor,
      diagnostics: Diagnostics())
  }

  /// Wanda layer by layer, in double, on the masks that the engine chose for the layers before: every row loses exactly
  /// its share, none of it worth more than what is kept, and each layer's error is what the masks do to its output.
  @Test(arguments: TestModel.tiny, [0.5, 0.3])
  func wandaAgreesWithPlainLoops(name: String, ratio: Double) throws {
    let model = try TestModel(tiny: name), dataset = try TestModel.goldenDataset(tiny: name)
    let result = try Self.sequentially(model, Self.plan(model, Wanda(), .ratio(ratio), .row), dataset)
    let errors = try #require(result.layerErrors)
    #expect(result.masks.count == 14 && errors.count == 2)

    let naive = try NaiveLlama(model)
    let masks = Dictionary(uniqueKeysWithValues: result.masks.map { ($0.key, $0.value) })
    var hidden = (0..<2).map { naive.embed(dataset.tokens(ofSequences: $0..<$0 + 1)) }
    for layer in 0..<2 {
      var inputs: [String: [Matrix]] = [:]
      let dense = hidden.map { naive.layer(layer, $0) { _, site, input in inputs[site, default: []].append(input) } }
      for input in model.transformer.linearInputs(layer: layer) {
        let moments = naiveMoments(try #require(inputs[input.site]))
        for tensor in input.tensors {
          let weights = Matrix(model.history.current.tensor(tensor))
          try Self.check(try #require(result.masks[tensor]), weights, moments, ratio: ratio, tensor)
        }
      }
      hidden = hidden.map { naive.layer(layer, $0, masks: masks) }
      let norm = dense.flatMap(\.values).reduce(0) { $0 + $1 * $1 }
      let off = zip(hidden.flatMap(\.values), dense.flatMap(\.values)).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      #expect(abs(errors[layer] / (off / norm) - 1) < 1e-4, "layer \(layer)")
    }
  }

  static func check(
    _ mask: MaskBits, _ weights: Matrix, _ moments: Moments, ratio: Double, _ tensor: String
  ) throws {
    let lost = pruned(mask)
    for row in 0..<weights.rows {
      let places = row * weights.columns..<(row + 1) * weights.columns
      let gone = lost.intersection(places)
      #expect(gone.count == Int(Double(weights.columns) * ratio), "\(tensor), row \(row)")
      func score(_ place: Int) -> Double {
        weights.values[place].magnitude * moments.sumOfSquares[place % weights.columns].squareRoot()
      }
      let highest = gone.map(score).max() ?? 0
      let lowest = Set(places).subtracting(gone).map(score).min() ?? .infinity
      #expect(highest <= lowest * (1 + 1e-5), "\(tensor), row \(row)")
    }
  }

  /// Layers that are pruned already feed the statistics of the next: not what one pass over the dense model gives.
  @Test func sequentialDiffersFromAtOnce() throws {
    let model = try TestModel(tiny: "grouped-f32"), dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let plan = Self.plan(model, Wanda(), .ratio(0.5), .row)
    let sequential = try Self.sequentially(model, plan, dataset)
    let atOnce = try pruneAtOnce(
      model.state, plan: plan, dataset: dataset, store: Engine.store(), compute: Engine.compute, monitor: Monitor(), diagnostics: Diagnostics())
    #expect(atOnce.layerErrors == nil)
    let first = "model.layers.0.mlp.down_proj.weight", second = "model.layers.1.self_attn.q_proj.weight"
    #expect(sequential.masks[first] == atOnce.masks[first], "all statistics of the first layer are of dense inputs")
    #expect(sequential.masks[second] != atOnce.masks[second])
  }

  /// Without statistics the order does not matter.
  @Test(arguments: [MaskGroup.matrix, .row, .column])
  func magnitudeIsTheSameEitherWay(group: MaskGroup) throws {
    let model = try TestModel(tiny: "wide-heads-f16"), dataset = try TestModel.goldenDataset(tiny: "wide-heads-f16")
    let plan = Self.plan(model, Magnitude(), .ratio(0.4), group)
    let atOnce = try pruneAtOnce(
      model.state, plan: plan, dataset: nil, store: Engine.store(), compute: Engine.compute, monitor: Monitor(), diagnostics: Diagnostics())
    #expect(try Self.sequentially(model, plan, dataset).masks == atOnce.masks)
    let again = try pruneAtOnce(
      model.commit(atOnce.masks), plan: plan, dataset: nil, store: Engine.store(), compute: Engine.compute,
      monitor: Monitor(), diagnostics: Diagnostics())
    #expect(again.masks == atOnce.masks, "pruning again prunes the same")
  }

  @Test func onlyTheChosenTensorsArePruned() throws {
    let model = try TestModel(tiny: "grouped-f32"), dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let plan = PruningPlan(
      criterion: Criterion(Wanda()), target: .pattern(prune: 2, of: 4), group: .row,
      tensors: try model.state.prunableTensors(matching: ["*.1.mlp.*"]))
    let result = try Self.sequentially(model, plan, dataset)
    #expect(result.masks.keys.allSatisfy { $0.contains("layers.1.mlp") } && result.masks.count == 3)
    #expect(result.layerErrors?.first == 0 && (result.layerErrors?.last ?? 0) > 0)
  }

  @Test func sameRunSameBits() throws {
    let model = try TestModel(tiny: "tied-bf16"), dataset = try TestModel.goldenDataset(tiny: "tied-bf16")
    let plan = Self.plan(model, Wanda(), .ratio(0.5), .row)
    let first = try Self.sequentially(model, plan, dataset), second = try Self.sequentially(model, plan, dataset)
    #expect(first.masks == second.masks && first.layerErrors == second.layerErrors)
  }

  @Test func whatCannotBeSequential() throws {
    let model = try TestModel(tiny: "wide-heads-f16"), dataset = try TestModel.goldenDataset(tiny: "wide-heads-f16")
    #expect(throws: CompressionError.groupNotSequential(group: "global")) {
      try Self.sequentially(model, Self.plan(model, Wanda(), .ratio(0.5), .global), dataset)
    }
    let error = #expect(throws: CompressionError.self) {
      try Self.sequentially(model, Self.plan(model, Wanda(), .pattern(prune: 2, of: 4), .row), dataset)
    }
    #expect(error?.kind == "patternDoesNotDivide", "42 columns")
  }

  @Test func cancelledRunsThrowAndChangeNothing() throws {
    let model = try TestModel(tiny: "grouped-f32"), dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let plan = Self.plan(model, Wanda(), .ratio(0.5), .row)
    for reports in 1...2 {
      #expect(throws: Cancelled.self) {
        try Self.sequentially(model, plan, dataset, monitor: cancelling(afterReports: reports))
      }
    }
    #expect(throws: Cancelled.self) {
      try pruneAtOnce(
        model.state, plan: plan, dataset: dataset, store: Engine.store(), compute: Engine.compute,
        monitor: cancelling(afterReports: 2), diagnostics: Diagnostics())
    }
    #expect(model.history.log.revisions.count == 1 && model.history.current.prunedCount == 0)
  }
}
