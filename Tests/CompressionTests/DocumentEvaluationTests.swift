// Perplexity and divergence over documents that share windows: each segment by itself, targets only.

import Compression
import Glibc
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct DocumentEvaluationTests {
  /// Lengths and prompts of documents of random tokens.
  private static func documents(_ sizes: [(count: Int, prompt: Int)]) -> [Document] {
    var random = Seeded(17)
    return sizes.map { count, prompt in
      Document(tokens: (0..<count).map { _ in Int32(random.int(in: 0...66)) }, promptTokens: prompt)
    }
  }

  private static func dataset(_ documents: [Document], _ packing: Packing, length: Int = 30) throws -> Dataset {
    try Dataset(
      documents: PackedDocuments(documents, sequenceLength: length, packing: packing), vocabularySize: 67)
  }

  private static let some = documents([(9, 3), (30, 0), (14, 13), (2, 0), (19, 1), (11, 0), (4, 4), (25, 6)])

  @Test(arguments: Packing.allCases)
  func lossesAreThoseOfTheDocumentsAlone(packing: Packing) throws {
    let model = try TestModel(tiny: "grouped-f32"), naive = try NaiveLlama(model)
    let packed = PackedDocuments(Self.some, sequenceLength: 30, packing: packing)
    let result = try PerplexityTests.evaluate(model.state, Self.dataset(Self.some, packing))
    let expected = packed.windows.compactMap { window in
      let losses = window.flatMap { naive.losses($0.tokens).dropFirst(max(0, $0.promptTokens - 1)) }
      return losses.isEmpty ? nil : (losses.reduce(0, +), losses.count)
    }
    let means = expected.map { $0.0 / Double($0.1) }, counts = expected.map(\.1)
    #expect(difference(Numbers(result.perWindow), Numbers(means), Tolerance(relative: 1e-5)) == nil)
    #expect(result.weights == counts && result.tokens == counts.reduce(0, +))
    #expect(result.tokens == 6 + 29 + 1 + 1 + 18 + 10 + 0 + 19)
    let nll = expected.reduce(0) { $0 + $1.0 } / Double(result.tokens)
    #expect(abs(result.nll / nll - 1) < 1e-5 && abs(result.perplexity / exp(nll) - 1) < 1e-4)
    let squares = zip(means, counts).reduce(0.0) { $0 + pow(Double($1.1) * ($1.0 - nll), 2) }
    let n = Double(means.count)
    #expect(abs(result.standardError - (n / (n - 1) * squares).squareRoot() / Double(result.tokens)) < 1e-5)
  }

  /// A neighbour in the window, and what stands in it, change nothing: attention ends at the segment.
  @Test func packingChangesNoToken() throws {
    let state = try TestModel(tiny: "tied-bf16").state
    let alone = try PerplexityTests.evaluate(state, Self.dataset(Self.some, .none))
    let packed = try PerplexityTests.evaluate(state, Self.dataset(Self.some, .bestFit))
    #expect(packed.perWindow.count < alone.perWindow.count)
    #expect(abs(packed.nll / alone.nll - 1) < 1e-6 && packed.tokens == alone.tokens)
    // As one segment each, windows would see more, and predict the first tokens of the neighbours.
    let joined = PackedDocuments(Self.some, sequenceLength: 30, packing: .bestFit).windows.map { window in
      Document(tokens: window.flatMap(\.tokens))
    }
    let seeing = try PerplexityTests.evaluate(state, Self.dataset(joined, .none))
    #expect(abs(seeing.nll / packed.nll - 1) > 1e-3)
  }

  /// More windows than go through the model at once, of all lengths.
  @Test func manyBatches() throws {
    var random = Seeded(4)
    let documents = Self.documents((0..<400).map { _ in (random.int(in: 2...30), random.int(in: 0...2)) })
    let state = try TestModel(tiny: "grouped-f32").state
    let alone = try PerplexityTests.evaluate(state, Self.dataset(documents, .none))
    let packed = try PerplexityTests.evaluate(state, Self.dataset(documents, .bestFit))
    #expect(abs(packed.nll / alone.nll - 1) < 1e-6 && packed.tokens == alone.tokens)
    #expect(try PerplexityTests.evaluate(state, Self.dataset(documents, .bestFit)) == packed)
  }

  @Test func uniformDocumentsAreTheText() throws {
    let state = try TestModel(tiny: "grouped-f32").state
    let text = try TestModel.goldenDataset(tiny: "grouped-f32")
    let documents = (0..<2).map { Document(tokens: text.tokens(ofSequence: $0)) }
    let dataset = try Self.dataset(documents, .none, length: 19)
    let (a, b) = (try PerplexityTests.evaluate(state, text), try PerplexityTests.evaluate(state, dataset))
    #expect(a.perWindow == b.perWindow && a.nll == b.nll && a.tokens == b.tokens)
    #expect(abs(a.standardError - b.standardError) < 1e-12)
  }

  @Test func divergence() throws {
    let state = try TestModel(tiny: "grouped-f32").state, other = try TestModel(tiny: "tied-bf16").state
    let dataset = try Self.dataset(Self.some, .bestFit)
    let result = try evaluateDivergence(
      state, from: other, dataset: dataset, store: Engine.store(), compute: Engine.compute, monitor: Monitor())
    #expect(result.tokens == dataset.validTokens)
    #expect(abs(result.meanKL / (result.sortedTokens.reduce(0, +) / Double(result.tokens)) - 1) < 1e-9)
    let perplexity = try PerplexityTests.evaluate(state, dataset)
    let losses = difference(
      Numbers(result.model.perWindow), Numbers(perplexity.perWindow), Tolerance(absolute: 1e-6, relative: 1e-6))
    #expect(losses == nil && result.model.weights == perplexity.weights)
    let alone = try evaluateDivergence(
      state, from: other, dataset: Self.dataset(Self.some, .none), store: Engine.store(), compute: Engine.compute,
      monitor: Monitor())
    #expect(abs(alone.meanKL / result.meanKL - 1) < 1e-5)
    let itself = try evaluateDivergence(
      state, from: state, dataset: dataset, store: Engine.store(), compute: Engine.compute, monitor: Monitor())
    #expect(itself.meanKL == 0 && itself.sameTopToken == 1)
  }

  @Test func refusals() throws {
    let state = try TestModel(tiny: "grouped-f32").state
    #expect(throws: CompressionError.windowOfDocuments) {
      try PerplexityTests.evaluate(state, Self.dataset(Self.some, .none), window: 8)
    }
    #expect(throws: CompressionError.nothingPredicted) {
      try PerplexityTests.evaluate(state, Self.dataset(Self.documents([(4, 4), (3, 3)]), .none))
    }
    let long = Self.documents([(65, 0)])
    #expect(throws: TransformerError.sequenceTooLong(length: 65, maximum: 64)) {
      try PerplexityTests.evaluate(state, Self.dataset(long, .none, length: 100))
    }
    // Windows longer than the model, of segments that are not.
    let packed = try Self.dataset(Self.documents([(60, 0), (40, 0)]), .bestFit, length: 100)
    #expect(packed.sequences == 1)
    #expect(try PerplexityTests.evaluate(state, packed).tokens == 98)
  }
}
