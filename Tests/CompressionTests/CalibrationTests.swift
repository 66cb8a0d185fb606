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
  return sum ?? squares ?? magnitudes
}

@Suite struct CalibrationTests {
  static let sites = ["attention", "attentionOutput", "mlp", "mlpDown"]

  static func calibrated(
    _ state: ModelState, _ dataset: Dataset, lastLayer: Int = 1, cache: CalibrationCache, monitor: Monitor = Monitor()
  ) throws -> Calibration {
    try calibrate(
      state, dataset: dataset, lastLayer: lastLayer, cache: cache, compute: Engine.compute, monitor: monitor)
  }

  @Test(arguments: TestModel.tiny)
  func momentsAreThoseOfPlainLoops(name: String) throws {
    let model = try TestModel(tiny: name), dataset = try TestModel.goldenDataset(tiny: name)
    let naive = try NaiveLlama(model)
    var seen: [String: [Matrix]] = [:]
    for sequence in 0..<2 {
      var hidden = naive.embed(dataset.tokens(ofSequences: sequence..<sequence + 1))
      for layer in 0..<2 {
        hidden = naive.layer(layer, hidden) { layer, site, input in seen["\(layer) \(site)", default: []].append(input) }
      }
    }
    let calibration = try Self.calibrated(model.state, dataset, cache: Engine.cache())
    #expect(calibration.layers.count == 2 && calibration.reusedLayers == 0)
    for layer in 0..<2 {
      for (moments, site) in zip(calibration.layers[layer], Self.sites) {
        let expected = naiveMoments(try #require(seen["\(layer) \(site)"]))
        #expect(difference(moments, expected) == nil, "layer \(layer), \(site)")
      }
    }
  }

  /// A comparison that could not fail would prove nothing.
  @Test func comparisonOfMomentsFails() {
    var moments = Moments(inputs: 3)
    moments.tokens = 10
    moments.sumOfSquares = [1, 2, 3]
    #expect(difference(moments, moments) == nil)
    for change in 0..<5 {
      var other = moments
      switch change {
      case 0: other.tokens += 1
      case 1: other.sequences += 1
      case 2: other.sum[1] += 1e-3
      case 3: other.sumOfSquares[2] *= 1.001
      default: other.sumOfMagnitudes[0] = .nan
      }
      #expect(difference(other, moments) != nil)
    }
  }

  /// In batches or not, each batch's sums are added to the others'.
  @Test func batchesAddUp() throws {
    let model = try TestModel(tiny: "grouped-f32")
    let dataset = try TestModel.randomDataset(seed: 4, sequences: 230, length: 19)
    let calibration = try Self.calibrated(model.state, dataset, lastLayer: 0, cache: Engine.cache())
    let naive = try NaiveLlama(model)
    var inputs: [Matrix] = []
    for sequence in 0..<230 {
      _ = naive.layer(0, naive.embed(dataset.tokens(ofSequences: sequence..<sequence + 1))) { _, site, input in
        if site == "attention" { inputs.append(input) }
      }
    }
    #expect(difference(calibration.layers[0][0], naiveMoments(inputs)) == nil)
  }

  @Test func secondRunIsRemembered() throws {
    let model = try TestModel(tiny: "grouped-f32"), dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let cache = Engine.cache()
    let first = try Self.calibrated(model.state, dataset, cache: cache)
    let second = try Self.calibrated(model.state, dataset, cache: cache)
    #expect(first.reusedLayers == 0 && second.reusedLayers == 2)
    #expect(first.layers == second.layers, "remembered and computed are equal to the bit")
    #expect(try Self.calibrated(model.state, dataset, lastLayer: 0, cache: cache).reusedLayers == 1)

    let other = try TestModel.randomDataset(seed: 1, sequences: 2, length: 19)
    #expect(try Self.calibrated(model.state, other, cache: cache).reusedLayers == 0)
    #expect(cache.count == 4 && cache.bytes > 0)
  }

  static func prune(_ model: TestModel, layer: Int) throws {
    let edits = try edit(model.state, [MaskEdit(.prune, .neurons(layer: layer, [1, 2, 3]))])
    model.commit(edits.masks)
  }

  /// What lies before an edit stays valid; what lies behind it does not; an undone edit was never there.
  @Test func editsReachTheirOwnAndLaterLayersOnly() throws {
    let model = try TestModel(tiny: "grouped-f32"), dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let cache = Engine.cache()
    let dense = try Self.calibrated(model.state, dataset, cache: cache)
    try Self.prune(model, layer: 1)
    #expect(try Self.calibrated(model.state, dataset, lastLayer: 0, cache: cache).reusedLayers == 1)
    let late = try Self.calibrated(model.state, dataset, cache: cache)
    #expect(late.reusedLayers == 0 && late.layers[0] == dense.layers[0] && late.layers[1] != dense.layers[1])

    _ = try model.history.undo()
    #expect(try Self.calibrated(model.state, dataset, cache: cache).reusedLayers == 2)
    try Self.prune(model, layer: 0)
    #expect(try Self.calibrated(model.state, dataset, lastLayer: 0, cache: cache).reusedLayers == 0)
  }

  @Test func cancelledCalibrationRemembersNothing() throws {
    let model = try TestModel(tiny: "grouped-f32")
    let dataset = try TestModel.randomDataset(seed: 3, sequences: 260, length: 19)
    let cache = Engine.cache()
    for reports in 1...5 {
      #expect(throws: Cancelled.self) {
        try Self.calibrated(model.state, dataset, cache: cache, monitor: cancelling(afterReports: reports))
      }
    }
    #expect(cache.count == 0)
  }

  @Test func datasetsThatDoNotFitTheModel() throws {
    let model = try TestModel(tiny: "grouped-f32")
    let long = try TestModel.randomDataset(seed: 1, sequences: 1, length: 65)
    #expect(throws: TransformerError.sequenceTooLong(length: 65, maximum: 64)) {
      try Self.calibrated(model.state, long, cache: Engine.cache())
    }
  }
}
