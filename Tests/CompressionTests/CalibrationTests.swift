// Statistics of what goes into the linear maps: their values against plain loops in double, and when they are
// remembered.

import Compression
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

/// The moments of every linear input of a layer, by plain loops; `inputs` are what went in, sequence by sequence.
func naiveMoments(_ inputs: [Matrix]) -> Moments {
  var moments = Moments(inputs: inputs.first?.columns ?? 0)
  for input in inputs {
    moments.sequences += 1
    moments.tokens += input.rows
    for row in 0..<input.rows {
      for column in 0..<input.columns {
        moments.sum[column] += input[row, column]
        moments.sumOfSquares[column] += input[row, column] * input[row, column]
        moments.sumOfMagnitudes[column] += abs(input[row, column])
      }
    }
    for column in 0..<input.columns {
      let mean = (0..<input.rows).reduce(0) { $0 + abs(input[$1, column]) } / Double(input.rows)
      moments.sumOfSquaredMeans[column] += mean * mean
    }
  }
  return moments
}

/// What is wrong with `actual`, or nil: sums in fp32 activations are compared with sums in double ones.
func difference(_ actual: Moments, _ expected: Moments) -> String? {
  guard actual.sequences == expected.sequences, actual.tokens == expected.tokens else {
    return "\(actual.sequences) sequences and \(actual.tokens) tokens, not \(expected.sequences) and \(expected.tokens)"
  }
  let tolerance = Tolerance(absolute: 1e-6 * Double(actual.tokens), relative: 1e-5)
  let sum = TestSupport.difference(Numbers(actual.sum), Numbers(expected.sum), tolerance)
  let squares = TestSupport.difference(Numbers(actual.sumOfSquares), Numbers(expected.sumOfSquares), tolerance)
  let magnitudes = TestSupport.difference(Numbers(actual.sumOfMagnitudes), Numbers(expected.sumOfMagnitudes), tolerance)
  let means = TestSupport.difference(
    Numbers(actual.sumOfSquaredMeans), Numbers(expected.sumOfSquaredMeans), tolerance)
  return sum ?? squares ?? magnitudes ?? means
}

/// The sum over all rows of x xᵀ, by plain loops.
func naiveGram(_ inputs: [Matrix]) -> [Double] {
  let n = inputs.first?.columns ?? 0
  var products = [Double](repeating: 0, count: n * n)
  for input in inputs {
    for row in 0..<input.rows {
      for i in 0..<n { for j in 0..<n { products[i * n + j] += input[row, i] * input[row, j] } }
    }
  }
  return products
}

@Suite struct CalibrationTests {
  static let sites = ["attention", "attentionOutput", "mlp", "mlpDown"]

  static func calibrated(
    _ state: ModelState, _ dataset: Dataset, lastLayer: Int = 1, need: StatisticsNeed = .moments,
    store: StatisticsStore, monitor: Monitor = Monitor()
  ) throws -> Calibration {
    try calibrate(
      state, dataset: dataset, need: need, layers: 0..<lastLayer + 1, store: store, compute: Engine.compute,
      monitor: monitor)
  }

  @Test(arguments: TestModel.tiny)
  func statisticsAreThoseOfPlainLoops(name: String) throws {
    let model = try TestModel(tiny: name), dataset = try TestModel.goldenDataset(tiny: name)
    let naive = try NaiveLlama(model)
    var seen: [String: [Matrix]] = [:]
    for sequence in 0..<2 {
      var hidden = naive.embed(dataset.tokens(ofSequences: sequence..<sequence + 1))
      for layer in 0..<2 {
        hidden = naive.layer(layer, hidden) { layer, site, input in seen["\(layer) \(site)", default: []].append(input) }
      }
    }
    let calibration = try Self.calibrated(model.state, dataset, need: .gram, store: Engine.store())
    #expect(calibration.layers.count == 2 && calibration.reusedLayers == 0)
    for layer in 0..<2 {
      let statistics = try calibration.statistics(layer: layer, model: model.transformer)
      for (input, site) in zip(statistics, Self.sites) {
        let inputs = try #require(seen["\(layer) \(site)"]), moments = try #require(input.moments)
        #expect(difference(moments, naiveMoments(inputs)) == nil, "layer \(layer), \(site)")
        let gram = try #require(input.gram)
        #expect(gram.sequences == 2 && gram.tokens == 38 && gram.inputs == moments.sum.count)
        let expected = Numbers(naiveGram(inputs), dtype: .f32)
        let tolerance = Tolerance(absolute: 1e-6 * 38, relative: 1e-5)
        #expect(TestSupport.difference(Numbers(gram.products.readOnly), expected, tolerance) == nil)
        let diagonal = Numbers((0..<gram.inputs).map { gram.products.pointer[$0 * (gram.inputs + 1)] })
        let squares = Numbers(moments.sumOfSquares, dtype: .f32)
        #expect(TestSupport.difference(diagonal, squares, Tolerance(relative: 1e-6)) == nil)
        #expect(gram.cross == nil)
      }
    }
  }

  /// A comparison that could not fail would prove nothing.
  @Test func comparisonOfMomentsFails() {
    var moments = Moments(inputs: 3)
    moments.tokens = 10
    moments.sumOfSquares = [1, 2, 3]
    #expect(difference(moments, moments) == nil)
    for change in 0..<6 {
      var other = moments
      switch change {
      case 0: other.tokens += 1
      case 1: other.sequences += 1
      case 2: other.sum[1] += 1e-3
      case 3: other.sumOfSquares[2] *= 1.001
      case 4: other.sumOfSquaredMeans[1] -= 1e-3
      default: other.sumOfMagnitudes[0] = .nan
      }
      #expect(difference(other, moments) != nil)
    }
  }

  /// In batches or not, each batch's sums are added to the others'.
  @Test func batchesAddUp() throws {
    let model = try TestModel(tiny: "grouped-f32")
    let dataset = try TestModel.randomDataset(seed: 4, sequences: 230, length: 19)
    let calibration = try Self.calibrated(model.state, dataset, lastLayer: 0, store: Engine.store())
    let naive = try NaiveLlama(model)
    var inputs: [Matrix] = []
    for sequence in 0..<230 {
      _ = naive.layer(0, naive.embed(dataset.tokens(ofSequences: sequence..<sequence + 1))) { _, site, input in
        if site == "attention" { inputs.append(input) }
      }
    }
    #expect(difference(calibration.moments(0)[0], naiveMoments(inputs)) == nil)
  }

  @Test func secondRunIsRemembered() throws {
    let model = try TestModel(tiny: "grouped-f32"), dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let store = Engine.store()
    let first = try Self.calibrated(model.state, dataset, store: store)
    let second = try Self.calibrated(model.state, dataset, store: store)
    #expect(first.reusedLayers == 0 && second.reusedLayers == 2)
    for layer in 0..<2 { #expect(first.moments(layer) == second.moments(layer), "equal to the bit") }
    #expect(try Self.calibrated(model.state, dataset, lastLayer: 0, store: store).reusedLayers == 1)

    let other = try TestModel.randomDataset(seed: 1, sequences: 2, length: 19)
    #expect(try Self.calibrated(model.state, other, store: store).reusedLayers == 0)
    #expect(store.count == 4 && store.bytes > 0)
    let counters = store.counters
    #expect(counters.hits == 3 && counters.misses == 4 && counters.diskBytes == 0 && counters.damaged == 0)
  }

  static func prune(_ model: TestModel, layer: Int) throws {
    let edits = try edit(model.state, [MaskEdit(.prune, .neurons(layer: layer, [1, 2, 3]))])
    model.commit(edits.masks)
  }

  /// What lies before an edit stays valid; what lies behind it does not; an undone edit was never there.
  @Test func editsReachTheirOwnAndLaterLayersOnly() throws {
    let model = try TestModel(tiny: "grouped-f32"), dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let store = Engine.store()
    let dense = try Self.calibrated(model.state, dataset, store: store)
    try Self.prune(model, layer: 1)
    #expect(try Self.calibrated(model.state, dataset, lastLayer: 0, store: store).reusedLayers == 1)
    let late = try Self.calibrated(model.state, dataset, store: store)
    #expect(late.reusedLayers == 1 && late.moments(0) == dense.moments(0) && late.moments(1) != dense.moments(1))
    let fresh = try Self.calibrated(model.state, dataset, store: Engine.store())
    #expect(fresh.reusedLayers == 0 && fresh.moments(1) == late.moments(1), "restarted is as computed from the start")

    _ = try model.history.undo()
    #expect(try Self.calibrated(model.state, dataset, store: store).reusedLayers == 2)
    try Self.prune(model, layer: 0)
    #expect(try Self.calibrated(model.state, dataset, lastLayer: 0, store: store).reusedLayers == 0)
  }

  /// Whole layers only are remembered, and they are right.
  @Test func cancelledCalibrationRemembersWholeLayers() throws {
    let model = try TestModel(tiny: "grouped-f32")
    let dataset = try TestModel.randomDataset(seed: 3, sequences: 260, length: 19)
    let batches = 3, expected = try Self.calibrated(model.state, dataset, store: Engine.store())
    for reports in 1...5 {
      let store = Engine.store()
      #expect(throws: Cancelled.self) {
        try Self.calibrated(model.state, dataset, store: store, monitor: cancelling(afterReports: reports))
      }
      #expect(store.count == (reports >= batches ? 1 : 0), "after \(reports) reports")
      let resumed = try Self.calibrated(model.state, dataset, store: store)
      #expect(resumed.reusedLayers == (reports >= batches ? 1 : 0))
      #expect(resumed.moments(0) == expected.moments(0) && resumed.moments(1) == expected.moments(1))
    }
  }

  @Test func datasetsThatDoNotFitTheModel() throws {
    let model = try TestModel(tiny: "grouped-f32")
    let long = try TestModel.randomDataset(seed: 1, sequences: 1, length: 65)
    #expect(throws: TransformerError.sequenceTooLong(length: 65, maximum: 64)) {
      try Self.calibrated(model.state, long, store: Engine.store())
    }
  }
}

extension Calibration {
  /// Of the inputs of a layer of a tiny model.
  func moments(_ layer: Int) -> [Moments] {
    guard let model = try? TestModel(tiny: "grouped-f32").transformer else { return [] }
    return (try? statistics(layer: layer, model: model))?.compactMap(\.moments) ?? []
  }
}
