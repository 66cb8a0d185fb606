// The divergence of a model from a reference: against PyTorch, of a model from itself, and what cannot be compared.

import Compression
import Glibc
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct DivergenceTests {
  private static let golden = Result {
    try Golden("\(Repository.goldens(of: "CompressionTests"))/divergence.golden.safetensors")
  }

  private static func evaluate(
    _ state: ModelState, from reference: ModelState, _ dataset: Dataset, window: Int? = nil,
    store: StatisticsStore = Engine.store(), monitor: Monitor = Monitor()
  ) throws -> Divergence {
    try evaluateDivergence(
      state, from: reference, dataset: dataset, window: window, store: store, compute: Engine.compute,
      monitor: monitor)
  }

  /// The state that the golden's script prunes alike.
  private static func pruned(_ state: ModelState) throws -> ModelState {
    let edits = [MaskEdit(.prune, .columns(tensor: "model.layers.1.mlp.down_proj.weight", Array(0..<10)))]
    let history = History(
      tensors: state.revision.replacing(masks: try edit(state, edits).masks.mapValues { MaskBlob($0) }.dictionary),
      operation: Operation(method: "test", summary: ""))
    return ModelState(transformer: state.transformer, revision: history.current)
  }

  @Test(arguments: [
    ("grouped-f32", "grouped-f32"), ("grouped-f32", "tied-bf16"), ("tied-bf16", "grouped-f32"),
    ("wide-heads-f16", "grouped-f32"), ("qwen3", "llama3"), ("gpt2", "qwen2"),
  ])
  func agreesWithPyTorch(name: String, reference: String) throws {
    let golden = try Self.golden.get(), prefix = "\(name).from.\(reference)"
    let other = try TestModel(tiny: reference).state
    let own = name == reference ? try Self.pruned(other) : try TestModel(tiny: name).state
    let dataset = try Dataset(
      text: golden.numbers("\(prefix).tokens").values.map { Int32($0) }, sequenceLength: 19, sequences: nil,
      sampling: .contiguous, vocabularySize: own.transformer.shape.vocabularySize)
    let result = try Self.evaluate(own, from: other, dataset)
    func expect(_ values: [Double], _ expected: [Double], _ what: Comment, _ tolerance: Double = 2e-5) {
      let fault = difference(Numbers(values), Numbers(expected), Tolerance(absolute: 1e-6, relative: tolerance))
      #expect(fault == nil, what)
    }
    func perWindow(_ values: [Double]) -> [Double] { [values[..<18], values[18...]].map { $0.reduce(0, +) / 18 } }
    let divergences = try golden.numbers("\(prefix).kl").values
    expect(result.sortedTokens, divergences.sorted(), "tokens")
    expect(result.perWindow, perWindow(divergences), "windows")
    #expect(abs(result.meanKL / (divergences.reduce(0, +) / 36) - 1) < 1e-5)
    let windows = perWindow(divergences)
    #expect(abs(result.standardError - abs(windows[0] - windows[1]) / 2) < 1e-5)
    expect([0.5, 0.9, 0.99, 1].map(result.quantile), try golden.numbers("\(prefix).quantiles").values, "quantiles")
    let same = try golden.numbers("\(prefix).same").values.reduce(0, +)
    #expect(Double(result.sameTopTokens) == same && result.sameTopToken == same / 36 && result.tokens == 36)
    expect(result.model.perWindow, perWindow(try golden.numbers("\(prefix).losses").values), "losses", 1e-5)
    expect(result.reference.perWindow, perWindow(try golden.numbers("\(prefix).reference").values), "reference", 1e-5)
    if name == reference { #expect((20...35).contains(result.sameTopTokens), "some of each") }
  }

  /// Exactly 0, whatever the sizes of batches and windows; and the perplexities are those of evaluate/perplexity.
  @Test(arguments: ["grouped-f32", "tied-bf16", "blocks-q4-gguf"], [nil, 7])
  func aModelIsItself(name: String, window: Int?) throws {
    let state = try TestModel(tiny: name).state
    let dataset = try TestModel.randomDataset(seed: 3, sequences: 120, length: 19)
    let result = try Self.evaluate(state, from: TestModel(tiny: name).state, dataset, window: window)
    #expect(result.meanKL == 0 && result.standardError == 0 && result.sortedTokens.allSatisfy { $0 == 0 })
    #expect(result.sameTopToken == 1 && result.model == result.reference)
    let perplexity = try PerplexityTests.evaluate(state, dataset, window: window)
    #expect(result.tokens == perplexity.tokens)
    let fault = difference(
      Numbers(result.model.perWindow), Numbers(perplexity.perWindow), Tolerance(absolute: 1e-6, relative: 1e-6))
    #expect(fault == nil)
  }

  /// Not symmetric, and larger for more pruning.
  @Test func prunedMore() throws {
    let model = try TestModel(tiny: "grouped-f32"), dense = model.state
    let dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let scores = try score(
      dense, model: "", tensors: dense.prunableTensors, request: ScoringRequest(Criterion(Magnitude())),
      store: Engine.store(), compute: Engine.compute, monitor: Monitor(), diagnostics: Diagnostics()
    ).scores.tensors.mapValues(\.matrix)
    var last = 0.0
    for ratio in [0.05, 0.3, 0.7] {
      let masks = try selectMasks(
        scores, target: .ratio(ratio), group: .matrix, pool: Engine.compute.pool, monitor: Monitor())
      let pruned = model.commit(masks)
      let forward = try Self.evaluate(pruned, from: dense, dataset)
      #expect(forward.meanKL > last)
      #expect(try Self.evaluate(dense, from: pruned, dataset).meanKL != forward.meanKL)
      last = forward.meanKL
    }
  }

  /// What is remembered of the reference gives the same figures to the bit, only where whole sequences are compared, and
  /// not once the reference is another.
  @Test(arguments: [nil, 7]) func rememberedReference(window: Int?) throws {
    let model = try TestModel(tiny: "grouped-f32"), dense = model.state, pruned = try Self.pruned(dense)
    let dataset = try TestModel.randomDataset(seed: 3, sequences: 120, length: 19), store = Engine.store()
    let first = try Self.evaluate(pruned, from: dense, dataset, window: window, store: store)
    #expect(store.counters.hits == 0 && store.count == (window == nil ? 120 : 0))
    let second = try Self.evaluate(pruned, from: dense, dataset, window: window, store: store)
    #expect(store.counters.hits == store.count)
    #expect(second.sortedTokens == first.sortedTokens && second.reference == first.reference)
    let back = try Self.evaluate(dense, from: pruned, dataset, window: window, store: store)
    #expect(back.reference == first.model && back.model == first.reference && back.meanKL != first.meanKL)
    let itself = try Self.evaluate(dense, from: dense, dataset, window: window, store: store)
    #expect(itself.meanKL == 0 && itself.model == itself.reference)
  }

  @Test func whatCannotBeCompared() throws {
    let small = try TestModel(tiny: "grouped-f32").state, large = try TestModel(tiny: "llama3").state
    let dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let sizes = (small.transformer.shape.vocabularySize, large.transformer.shape.vocabularySize)
    #expect(throws: CompressionError.vocabularyMismatch(model: sizes.0, reference: sizes.1)) {
      try Self.evaluate(small, from: large, dataset)
    }
    #expect(throws: CompressionError.windowInvalid(window: 20, sequenceLength: 19)) {
      try Self.evaluate(small, from: small, dataset, window: 20)
    }
    let long = try TestModel.randomDataset(seed: 1, sequences: 1, length: 65)
    #expect(throws: TransformerError.sequenceTooLong(length: 65, maximum: 64)) {
      try Self.evaluate(small, from: small, long)
    }
  }

  @Test func cancelled() throws {
    let state = try TestModel(tiny: "grouped-f32").state
    let dataset = try TestModel.randomDataset(seed: 3, sequences: 260, length: 19)
    for reports in 1...8 {
      #expect(throws: Cancelled.self) {
        try Self.evaluate(state, from: state, dataset, monitor: cancelling(afterReports: reports))
      }
    }
  }
}

extension OrderedDictionary where Key == String, Value == MaskBlob {
  fileprivate var dictionary: [String: MaskBlob?] { Dictionary(uniqueKeysWithValues: map { ($0.key, $0.value) }) }
}
