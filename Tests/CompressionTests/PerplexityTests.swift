// Perplexity: windows, their losses, and what cannot be evaluated.

import Compression
import Glibc
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct PerplexityTests {
  static func evaluate(_ state: ModelState, _ dataset: Dataset, window: Int? = nil) throws -> Perplexity {
    try evaluatePerplexity(state, dataset: dataset, window: window, compute: Engine.compute, monitor: Monitor())
  }

  @Test(arguments: TestModel.tiny)
  func windowsAreTheMeansOfTheirTokens(name: String) throws {
    let losses = try TestModel.golden(tiny: name).numbers("losses").values
    let result = try Self.evaluate(TestModel(tiny: name).state, TestModel.goldenDataset(tiny: name))
    let expected = [losses[..<18], losses[18...]].map { $0.reduce(0, +) / 18 }
    #expect(difference(Numbers(result.perWindow), Numbers(expected), Tolerance(relative: 1e-5)) == nil)
    #expect(result.tokens == 36)
    let nll = (result.perWindow[0] + result.perWindow[1]) / 2
    #expect(abs(result.nll - nll) < 1e-12 && abs(result.perplexity / exp(nll) - 1) < 1e-12)
    // Two values: the sample deviation is their distance over the root of two.
    let error = abs(result.perWindow[0] - result.perWindow[1]) / 2
    #expect(abs(result.standardError - error) < 1e-12)
  }

  /// The tests' own reference agrees with PyTorch's, so that other tests may lean on it.
  @Test(arguments: TestModel.tiny)
  func naiveModelAgreesWithPyTorch(name: String) throws {
    let model = try TestModel(tiny: name), dataset = try TestModel.goldenDataset(tiny: name)
    let naive = try NaiveLlama(model)
    let losses = (0..<2).flatMap { naive.losses(dataset.tokens(ofSequences: $0..<$0 + 1)) }
    let golden = try TestModel.golden(tiny: name)
    #expect(try golden.difference(Numbers(losses, shape: [2, 18]), from: "losses", Tolerance(relative: 1e-5)) == nil)
  }

  /// Sequences are cut into windows that start at position 0 each; the rest of a sequence is left out.
  @Test(arguments: [2, 6, 7, 18, 19])
  func shorterWindows(window: Int) throws {
    let model = try TestModel(tiny: "grouped-f32"), dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let result = try Self.evaluate(model.state, dataset, window: window)
    let naive = try NaiveLlama(model)
    let expected = [0, 19].flatMap { sequence in
      (0..<19 / window).map { number in
        let start = sequence + number * window
        let losses = naive.losses(Array(dataset.tokens[start..<start + window]))
        return losses.reduce(0, +) / Double(window - 1)
      }
    }
    #expect(difference(Numbers(result.perWindow), Numbers(expected), Tolerance(relative: 1e-5)) == nil)
    #expect(result.tokens == expected.count * (window - 1))
  }

  /// More windows than go through the model at once; the same evaluation gives the same bits.
  @Test func manyBatches() throws {
    let model = try TestModel(tiny: "tied-bf16")
    let dataset = try TestModel.randomDataset(seed: 3, sequences: 260, length: 19)
    let result = try Self.evaluate(model.state, dataset)
    #expect(result.perWindow.count == 260 && result.tokens == 260 * 18)
    #expect(try Self.evaluate(model.state, dataset) == result)
    for number in [0, 106, 107, 108, 259] {
      let alone = try Dataset(
        text: dataset.tokens(ofSequences: number..<number + 1), sequenceLength: 19, sequences: nil,
        sampling: .contiguous, vocabularySize: 67)
      let expected = try Self.evaluate(model.state, alone)
      #expect(abs(result.perWindow[number] / expected.perWindow[0] - 1) < 1e-6)
      #expect(expected.standardError == 0)
    }
  }

  @Test(arguments: [-1, 0, 1, 20, Int.max])
  func windowsThatDoNotFit(window: Int) throws {
    let state = try TestModel(tiny: "grouped-f32").state
    let error = #expect(throws: CompressionError.self) {
      try Self.evaluate(state, TestModel.goldenDataset(tiny: "grouped-f32"), window: window)
    }
    #expect(error == .windowInvalid(window: window, sequenceLength: 19))
  }

  @Test func datasetsThatDoNotFitTheModel() throws {
    let state = try TestModel(tiny: "grouped-f32").state
    let long = try TestModel.randomDataset(seed: 1, sequences: 1, length: 65)
    let error = #expect(throws: TransformerError.self) { try Self.evaluate(state, long) }
    #expect(error == .sequenceTooLong(length: 65, maximum: 64))
    #expect(try Self.evaluate(state, long, window: 64).perWindow.count == 1)
    let foreign = try Dataset(
      text: [1, 2, 67, 4], sequenceLength: 4, sequences: nil, sampling: .contiguous, vocabularySize: 100)
    #expect(throws: TransformerError.tokenOutOfRange(token: 67, position: 2, vocabularySize: 67)) {
      try Self.evaluate(state, foreign)
    }
  }

  @Test(arguments: [Float.nan, .infinity])
  func lossesThatAreNoNumbers(value: Float) throws {
    let model = try TestModel(tiny: "grouped-f32"), name = "model.layers.1.mlp.down_proj.weight"
    var tensors = model.history.current.tensors
    let broken = [Float](repeating: value, count: 24 * 56)
    tensors[name] = StoredTensor(weights: WeightsBlob(try #require(TensorView(guarding: broken, shape: [24, 56]))))
    let history = History(tensors: tensors, operation: Operation(method: "model/load", summary: ""))
    let state = ModelState(transformer: model.transformer, revision: history.current)
    let error = #expect(throws: CompressionError.self) {
      try Self.evaluate(state, TestModel.goldenDataset(tiny: "grouped-f32"))
    }
    #expect(error == .nonFiniteLoss(window: 0))
  }

  @Test func cancelledEvaluationThrows() throws {
    let model = try TestModel(tiny: "grouped-f32")
    let dataset = try TestModel.randomDataset(seed: 3, sequences: 260, length: 19)
    for reports in 1...4 {
      #expect(throws: Cancelled.self) {
        try evaluatePerplexity(
          model.state, dataset: dataset, compute: Engine.compute, monitor: cancelling(afterReports: reports))
      }
    }
  }
}
