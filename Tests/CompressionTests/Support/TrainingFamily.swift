// A tiny model in training, as PyTorch trained it for the goldens (TransformersTests/Goldens/family_goldens.py).

import Compression
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

struct TrainingFamily {
  static let names = [
    "llama3", "llama-linear", "mistral", "qwen2", "qwen2-window", "qwen3", "gemma3_text", "gpt2", "opt",
  ]
  static let batch = Batch(sequences: 2, length: 19)
  /// What the goldens were made with.
  static let options = {
    var options = TrainingOptions()
    options.optimizer.beta2 = 0.95
    options.optimizer.weightDecay = 0.1
    return options
  }()
  static let learningRate = 3e-3

  let model: TestModel
  let golden: Golden
  let tokens: [Int32]

  init(_ name: String, masked: Bool = false) throws {
    model = try TestModel(tiny: name)
    golden = try TestModel.golden(tiny: name)
    tokens = try golden.numbers("tokens").values.map { Int32($0) }
    if masked { model.commit(try masks()) }
  }

  /// The golden's masks as [outputs, inputs], whatever the checkpoint stores.
  private func masks() throws -> OrderedDictionary<String, MaskBits> {
    var masks: OrderedDictionary<String, MaskBits> = [:]
    for name in golden.names where name.hasPrefix("mask.") {
      let tensor = String(name.dropFirst(5)), stored = try golden.numbers(name)
      let isTransposed = model.transformer.isTransposedInHuggingFace(tensor)
      let (rows, columns) = isTransposed ? (stored.shape[1], stored.shape[0]) : (stored.shape[0], stored.shape[1])
      var bytes = [UInt8](repeating: 0, count: rows * MaskBits.rowBytes(columns: columns))
      for row in 0..<rows {
        for column in 0..<columns {
          let place = isTransposed ? column * rows + row : row * columns + column
          guard stored.values[place] != 0 else { continue }
          bytes[row * MaskBits.rowBytes(columns: columns) + column / 8] |= 1 << (column % 8)
        }
      }
      let mask: MaskBits = try #require(MaskBits(rows: rows, columns: columns, bytes: bytes))
      masks[tensor] = mask
    }
    return masks
  }

  func trainer(batch: Batch = Self.batch, options: TrainingOptions = Self.options) throws -> Trainer {
    try Trainer(model.state, batch: batch, options: options, compute: Engine.compute)
  }

  /// The same for every step, but for a seed that shifts the tokens.
  func batches(shift: Int = 0) -> [[Int32]] {
    let vocabulary = Int32(model.transformer.shape.vocabularySize)
    return [tokens.map { ($0 + Int32(shift)) % vocabulary }]
  }
}

extension Trainer {
  /// One step on the next token.
  @discardableResult
  func train(
    _ batches: [[Int32]], length: Int = TrainingFamily.batch.length,
    learningRate: Double = TrainingFamily.learningRate, cancellation: Cancellation = Cancellation()
  ) throws -> StepReport {
    try step(
      batches.map { TrainingBatch($0, length: length) }, lesson: NextTokenLesson(), learningRate: learningRate,
      cancellation: cancellation)
  }

  /// Every float of weights, moments and gradients.
  var bits: [[UInt32]] {
    [parameters.block, optimizer.first, optimizer.second, gradients].map { $0.values.readOnly.map(\.bitPattern) }
  }
}
