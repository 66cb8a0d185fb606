// The engine in this process: what it is measured on, what is measured, and in which order.

import BuiltinModels
import Checkpoints
import Compression
import OrderedCollections
import Tensors
import Transformers
import Workspace

/// A part of the engine's benchmark.
package enum BenchmarkPart: String, Sendable, CaseIterable {
  case forward, training, decoding
}

/// What to measure.
package struct BenchmarkOptions: Sendable {
  /// A Hugging Face folder, a .gguf file, or `builtin:sapling`.
  package let model: String
  package let length: Int
  package let sequences: Int
  /// How long each measurement is repeated.
  package let seconds: Double
  package let threads: Int?
  package let parts: Set<BenchmarkPart>
  /// Whether the training step computes all activations again instead of keeping them.
  package let recomputing: Bool

  package init(
    model: String, length: Int, sequences: Int, seconds: Double, threads: Int?,
    parts: Set<BenchmarkPart> = Set(BenchmarkPart.allCases), recomputing: Bool = false
  ) {
    self.model = model
    self.length = length
    self.sequences = sequences
    self.seconds = seconds
    self.threads = threads
    self.parts = parts
    self.recomputing = recomputing
  }

  /// The path of the model.
  func modelPath() -> String {
    let prefix = "builtin:"
    guard model.hasPrefix(prefix) else { return model }
    return BuiltinModels.path(ofModel: String(model.dropFirst(prefix.count))) ?? model
  }
}

/// A model with tokens to run through it, and the machine to run it on.
struct Subject {
  let state: ModelState
  let batch: Batch
  let tokens: [Int32]
  let tokenizer: Tokenizer
  let seconds: Double
  let compute: Compute

  var model: Transformer { state.transformer }
}

/// Measures the engine on the built-in text. Every figure is measured in turns with the ceiling it is held against, so
/// that both see the same machine.
/// - Throws: `BLASError`, `CheckpointError`, `TransformerError`, `TrainingError`.
package func benchmarkEngine(_ options: BenchmarkOptions) throws -> Figures {
  let compute = try Compute(pool: ComputePool(threads: options.threads ?? ComputePool.availableProcessors))
  var opened: (checkpoint: Checkpoint, loaded: LoadedTransformer)?
  let loading = try seconds {
    let checkpoint = try Checkpoint.open(path: options.modelPath())
    opened = (checkpoint, try loadTransformer(checkpoint))
  }
  guard let (checkpoint, loaded) = opened else { return Figures(title: "Engine", figures: []) }
  let weights = History(
    tensors: loaded.tensors.mapValues { StoredTensor(weights: WeightsBlob($0)) },
    operation: Operation(method: "model/load", summary: "benchmark")
  ).current

  let model = loaded.transformer, batch = Batch(sequences: options.sequences, length: options.length)
  let tokens = try text(of: batch.tokens, checkpoint.tokenizer, vocabulary: model.shape.vocabularySize)
  try model.checkTokens(tokens, length: batch.length)
  let subject = Subject(
    state: ModelState(transformer: model, revision: weights), batch: batch, tokens: tokens,
    tokenizer: checkpoint.tokenizer, seconds: options.seconds, compute: compute)

  var figures = ceilings(compute)
  figures.append(
    Figure("loadSeconds", "load", loading, "s", note: "\(checkpoint.format.rawValue), weights mapped"))
  if options.parts.contains(.forward) { figures += try forwardFigures(subject) + accuracyFigures(subject) }
  if options.parts.contains(.training) { figures += try trainingFigures(subject, recomputing: options.recomputing) }
  if options.parts.contains(.decoding) { figures += try decodingFigures(subject) }
  let names = "\(Compute.instructionSet) kernels, OpenBLAS \(compute.blas.coreName), \(compute.pool.threads) threads"
  return Figures(title: "Engine: " + names, figures: figures)
}

/// The first tokens of the built-in evaluation text, again from the start where it ends.
private func text(of count: Int, _ tokenizer: Tokenizer, vocabulary: Int) throws -> [Int32] {
  let path = BuiltinModels.path(ofText: "sapling/evaluation") ?? ""
  let file = try MappedFile(path: path)
  let tokens = try tokenizer.encode(String(decoding: file.bytes, as: UTF8.self)).filter { $0 < vocabulary }
  return (0..<count).map { tokens[$0 % max(1, tokens.count)] }
}

/// What the machine can do at this moment.
private func ceilings(_ compute: Compute) -> [Figure] {
  [
    Figure(
      "matrixProductGigaflops", "matrix product fp32, 2048 x 2048", compute.matrixProductRate() / 1e9, "GFLOP/s",
      note: "OpenBLAS"),
    Figure(
      "packedProductGigaflops", "the same in bf16", compute.packedProductRate(.bf16) / 1e9, "GFLOP/s",
      note: "our kernels: \(ProductKernel.fastest(.bf16).name)"),
    Figure("memoryGigabytesPerSecond", "memory, copying", compute.memoryRate() / 1e9, "GB/s", note: "read and written"),
    Figure("memoryReadGigabytesPerSecond", "memory, reading", compute.memoryReadRate() / 1e9, "GB/s"),
  ]
}

/// Repeats `work` for about `limit` seconds, at least twice, after a first time that is not counted.
/// - Returns: the medians of its seconds and of `ceiling`, which is measured before each.
func repeated(
  for limit: Double, ceiling: () -> Double, _ work: () throws -> Void
) rethrows -> (seconds: Double, ceiling: Double, count: Int) {
  try work()  // pages and caches
  var each: [Double] = [], ceilings: [Double] = []
  repeat {
    ceilings.append(ceiling())
    each.append(try seconds { try work() })
  } while each.count < 2 || each.reduce(0, +) < limit
  return (median(each), median(ceilings), each.count)
}
