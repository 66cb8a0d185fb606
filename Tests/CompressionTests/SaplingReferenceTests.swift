// The built-in model against the figures that PyTorch gave for it (Sources/BuiltinModels/training/check_sapling.py).

import BuiltinModels
import Checkpoints
import Compression
import JSON
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct SaplingReferenceTests {
  static let path = "\(Repository.root)/Sources/BuiltinModels/training/sapling_reference.json"

  static let loaded: Result<ReferenceRun, any Error> = Result(catching: load)

  private static func load() throws -> ReferenceRun {
    let model = try TestModel(path: try #require(BuiltinModels.path(ofModel: "sapling")))
    func dataset(_ text: String) throws -> Dataset {
      let path = try #require(BuiltinModels.path(ofText: text))
      let bytes = try #require(TemporaryFolder.read(path), "\(path) is not beside the test program")
      return try Dataset(
        text: try model.checkpoint.tokenizer.encode(String(decoding: bytes, as: UTF8.self)), sequenceLength: 256,
        sequences: 32, sampling: .contiguous, vocabularySize: model.transformer.shape.vocabularySize)
    }
    return ReferenceRun(
      model: model, calibration: try dataset("sapling/calibration"), evaluation: try dataset("sapling/evaluation"),
      rows: try referenceRows(try readJSON(path), target: "sparsity", losses: "lossPerWindow"))
  }

  @Test func tokensAreTheReferences() throws {
    let expected = try #require(try readJSON(Self.path)["evaluationTokens"]?.array).compactMap(\.integer)
    #expect(expected.count == 64)
    #expect(try Self.loaded.get().evaluation.tokens.prefix(64).map(Int.init) == expected)
  }

  @Test func denseWindows() throws {
    let run = try Self.loaded.get(), reference = try run.row("dense", "0.0")
    let result = try run.evaluate()
    #expect(difference(Numbers(result.perWindow), Numbers(reference.losses), Tolerance(absolute: 1e-5)) == nil)
    #expect(abs(result.perplexity / reference.perplexity - 1) < 1e-5)
  }

  @Test(arguments: [0.5, 0.6])
  func magnitude(sparsity: Double) throws {
    let run = try Self.loaded.get(), reference = try run.row("magnitude", "\(sparsity)")
    let result = try run.evaluate(run.masks(run.magnitudes(), .ratio(sparsity)))
    #expect(abs(result.perplexity / reference.perplexity - 1) < 1e-3)
    #expect(difference(Numbers(result.perWindow), Numbers(reference.losses), Tolerance(absolute: 1e-3)) == nil)
  }

  @Test(arguments: [0.5, 0.6])
  func wanda(sparsity: Double) throws {
    let run = try Self.loaded.get(), reference = try run.row("wanda", "\(sparsity)")
    let result = try run.evaluate(run.wanda(.ratio(sparsity)))
    #expect(abs(result.perplexity / reference.perplexity - 1) < 1e-3)
  }

  /// What the figures are for: pruning hurts, blind pruning most.
  @Test func methodsAreInTheirUsualOrder() throws {
    let run = try Self.loaded.get()
    for sparsity in ["0.5", "0.6"] {
      let perplexities = try ["random", "magnitude", "wanda"].map { try run.row($0, sparsity).perplexity }
      #expect(perplexities == perplexities.sorted(by: >))
    }
  }
}
