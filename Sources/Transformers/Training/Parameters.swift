// The trainable weights of a model as one block of fp32 memory, and gradients laid out the same way.

package import OrderedCollections
package import Tensors

/// Where each tensor lies in a block of floats that holds all of a model's.
package struct ParameterLayout: Sendable, Equatable {
  package struct Entry: Sendable, Equatable {
    package let shape: [Int]
    package let offset: Int
    package let count: Int
    /// Vectors (norms and biases) are exempt from weight decay.
    package var isMatrix: Bool { shape.count > 1 }
  }

  /// By name, in the order of computation; a tensor that is used twice is here once.
  package let entries: OrderedDictionary<String, Entry>
  /// Floats of the block. Entries begin at cache lines; the gaps stay zero.
  package let count: Int
  /// Elements of all tensors.
  package let parameterCount: Int

  package init(_ transformer: Transformer) { self.init(tensors: transformer.expectedTensors) }

  /// A layout of the tensors of one layer only.
  package init(_ transformer: Transformer, layer: Int) {
    let names = Set(transformer.tensors(layer: layer))
    self.init(tensors: transformer.expectedTensors.filter { names.contains($0.key) })
  }

  private init(tensors: OrderedDictionary<String, [Int]>) {
    var entries: OrderedDictionary<String, Entry> = [:], offset = 0, parameters = 0
    for (name, shape) in tensors {
      let count = shape.reduce(1, *)
      entries[name] = Entry(shape: shape, offset: offset, count: count)
      offset += (count + 15) / 16 * 16
      parameters += count
    }
    self.entries = entries
    count = offset
    parameterCount = parameters
  }
}

/// A block of floats in a layout: gradients, or an optimiser's state.
package final class ParameterBlock: Sendable {
  package let layout: ParameterLayout
  package let values: FloatBuffer

  /// Zeros.
  package init(_ layout: ParameterLayout) {
    self.layout = layout
    values = FloatBuffer(count: layout.count)
    values.values.initialize(repeating: 0)
  }

  /// The values of a tensor of the layout.
  package subscript(name: String) -> UnsafeMutablePointer<Float> {
    guard let entry = layout.entries[name] else { preconditionFailure("no tensor \(name) in this layout") }
    return values.pointer + entry.offset
  }

  package func clear(pool: ComputePool) {
    pool.parallelRanges(values.count, grain: 1 << 16) { [values] range, _ in
      (values.pointer + range.lowerBound).update(repeating: 0, count: range.count)
    }
  }
}

/// The trainable weights of a model: its master copy. Weights that `masks` prune are zero and stay zero.
package final class Parameters: WeightSource {
  package let block: ParameterBlock
  /// Masks by tensor, over the weights of linear maps.
  package let masks: [String: MaskBits]
  private let tensors: [String: MaskedTensor]
  /// Biases that edits added to linear maps: computed with, never trained.
  private let addedBiases: [String: MaskedTensor]

  package var layout: ParameterLayout { block.layout }

  /// Copies the weights that `transformer` reads out of `source`, pruned ones as zero.
  package convenience init(_ transformer: Transformer, copying source: any WeightSource, pool: ComputePool) {
    self.init(ParameterLayout(transformer), copying: source, pool: pool)
  }

  /// The same for the tensors of a layout.
  package init(_ layout: ParameterLayout, copying source: any WeightSource, pool: ComputePool) {
    block = ParameterBlock(layout)
    let storage = BlockStorage(block)
    var masks: [String: MaskBits] = [:], tensors: [String: MaskedTensor] = [:], biases: [String: MaskedTensor] = [:]
    for (name, entry) in block.layout.entries {
      let tensor = source.tensor(name)
      tensor.read(rows: 0..<tensor.rows, into: block[name], pool: pool)
      masks[name] = tensor.mask
      biases[name] = source.addedBias(to: name)
      let view = TensorView(
        storage: storage, byteOffset: entry.offset * MemoryLayout<Float>.stride, dtype: .f32, shape: entry.shape)
      guard let view else { preconditionFailure("\(name) does not lie inside its own block") }
      tensors[name] = MaskedTensor(weights: view)
    }
    self.masks = masks
    self.tensors = tensors
    addedBiases = biases
  }

  package func addedBias(to name: String) -> MaskedTensor? { addedBiases[name] }

  /// The tensor at its present values. No mask: pruned weights are zeros here.
  package func tensor(_ name: String) -> MaskedTensor {
    guard let tensor = tensors[name] else { preconditionFailure("no parameter \(name)") }
    return tensor
  }
}

/// A block as bytes. Its values change between steps only, never while a pass reads them.
private final class BlockStorage: ByteStorage {
  private let block: ParameterBlock
  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(block.values.readOnly) }

  init(_ block: ParameterBlock) { self.block = block }
}
