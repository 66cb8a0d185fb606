// The engine in this process: a forward pass with losses, against what matrix products reach at the same moment.

import BuiltinModels
import Checkpoints
import OrderedCollections
import Tensors
import Transformers
import Workspace

/// What to measure.
package struct BenchmarkOptions: Sendable {
  /// A Hugging Face folder, a .gguf file, or `builtin:sapling`.
  package let model: String
  package let length: Int
  package let sequences: Int
  /// How long the forward pass is repeated.
  package let seconds: Double
  package let threads: Int?

  package init(model: String, length: Int, sequences: Int, seconds: Double, threads: Int?) {
    self.model = model
    self.length = length
    self.sequences = sequences
    self.seconds = seconds
    self.threads = threads
  }

  /// The path of the model.
  func modelPath() -> String {
    let prefix = "builtin:"
    guard model.hasPrefix(prefix) else { return model }
    return BuiltinModels.path(ofModel: String(model.dropFirst(prefix.count))) ?? model
  }
}

/// Measures the engine on random tokens. Ceiling and forward pass are measured in turns, so that both see the same
/// machine.
/// - Throws: `BLASError`, `CheckpointError`, `TransformerError`.
package func benchmarkEngine(_ options: BenchmarkOptions) throws -> Figures {
  let compute = try Compute(pool: ComputePool(threads: options.threads ?? ComputePool.availableProcessors))
  var checkpoint: Checkpoint?
  let loading = try seconds { checkpoint = try Checkpoint.open(path: options.modelPath()) }
  guard let checkpoint else { return Figures(title: "Engine", figures: []) }
  let loaded = try loadTransformer(checkpoint)
  let model = loaded.transformer
  let weights = History(
    tensors: loaded.tensors.mapValues { StoredTensor(weights: WeightsBlob($0)) },
    operation: Operation(method: "model/load", summary: "benchmark")
  ).current

  let batch = Batch(sequences: options.sequences, length: options.length)
  var generator = SplitMix64(seed: 0)
  let tokens = (0..<batch.tokens).map { _ in
    Int32.random(in: 0..<Int32(model.shape.vocabularySize), using: &generator)
  }
  try model.checkTokens(tokens, length: batch.length)
  let pass = model.makeForwardPass(batch: batch, compute: compute)
  let hidden = FloatBuffer(count: batch.tokens * model.shape.hiddenSize)
  let cancellation = Cancellation()
  func forward() throws {
    pass.embed(tokens, into: hidden.pointer, batch: batch, weights: weights)
    for layer in 0..<model.shape.layers {
      try pass.layer(
        layer, hidden: hidden.pointer, batch: batch, weights: weights, cancellation: cancellation, observer: nil)
    }
    _ = try pass.nextTokenLosses(
      hidden: hidden.pointer, tokens: tokens, batch: batch, weights: weights, cancellation: cancellation)
  }

  try forward()  // pages and caches
  var products: [Double] = [], forwards: [Double] = []
  repeat {
    products.append(compute.matrixProductRate())
    forwards.append(try seconds { try forward() })
  } while forwards.reduce(0, +) < options.seconds
  let memory = compute.memoryRate()
  let decoding = try decodingFigures(
    model, weights: weights, tokens: tokens, memoryRate: memory, compute: compute, seconds: options.seconds)

  let product = median(products), forwardSeconds = median(forwards)
  let rate = model.forwardOperations(batch: batch) / forwardSeconds
  let threads = compute.pool.threads
  return Figures(
    title: "Engine: \(Compute.instructionSet) kernels, OpenBLAS \(compute.blas.coreName), \(threads) threads",
    figures: [
      Figure(
        "matrixProductGigaflops", "fp32 matrix product, 2048 x 2048", product / 1e9, "GFLOP/s",
        note: "OpenBLAS, median of \(products.count)"),
      Figure("memoryGigabytesPerSecond", "memory, copying", memory / 1e9, "GB/s", note: "read and written"),
      Figure("loadSeconds", "load", loading, "s", note: "\(checkpoint.format.rawValue), weights mapped"),
      Figure(
        "forwardTokensPerSecond", "forward fp32, \(batch.sequences) x \(batch.length)",
        Double(batch.tokens) / forwardSeconds, "tokens/s", note: "with losses, median of \(forwards.count)"),
      Figure("forwardGigaflops", "forward fp32", rate / 1e9, "GFLOP/s"),
      Figure(
        "forwardShareOfMatrixProduct", "forward, share of the matrix product's rate", 100 * rate / product, "%"),
    ] + decoding)
}
