// The weights of a layer as fp32, for passes that take many batches through it one after another.

import Tensors
import Transformers

/// A model's weights, of which those of one layer's linear maps were decoded, and their masks applied, once for all
/// batches. Wide layers stay as they are stored: their products take far longer than decoding.
struct DecodedLayer: WeightSource {
  /// What decoded weights may take.
  private static let mostBytes = 256 << 20

  private let stored: any WeightSource
  private let decoded: [String: MaskedTensor]

  /// - Parameter batches: that will go through the layer.
  init(_ layer: Int, of model: Transformer, weights: any WeightSource, batches: Int, pool: ComputePool) {
    stored = weights
    let tensors = model.linearInputs(layer: layer).flatMap(\.tensors).map { ($0, weights.tensor($0)) }
      .filter { $0.1.inPlace == nil }
    let bytes = tensors.reduce(0) { $0 + MemoryLayout<Float>.stride * $1.1.rows * $1.1.columns }
    guard batches > 1, bytes <= Self.mostBytes else {
      decoded = [:]
      return
    }
    decoded = Dictionary(uniqueKeysWithValues: tensors.map { ($0, $1.decoded(pool: pool)) })
  }

  func tensor(_ name: String) -> MaskedTensor { decoded[name] ?? stored.tensor(name) }
  func addedBias(to name: String) -> MaskedTensor? { stored.addedBias(to: name) }
}

extension MaskedTensor {
  /// The same values as unpruned fp32 in memory of their own.
  fileprivate func decoded(pool: ComputePool) -> MaskedTensor {
    let bytes = OwnedBytes(count: MemoryLayout<Float>.stride * rows * columns) { bytes in
      guard let floats = bytes.baseAddress?.bindMemory(to: Float.self, capacity: rows * columns) else { return }
      read(rows: 0..<rows, into: floats, pool: pool)
    }
    guard let view = TensorView(storage: bytes, byteOffset: 0, dtype: .f32, shape: [rows, columns]) else { return self }
    return MaskedTensor(weights: view)
  }
}
