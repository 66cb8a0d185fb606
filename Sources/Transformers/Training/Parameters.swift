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

  /// A layout of any tensors, by name.
  package init(tensors: OrderedDictionary<String, [Int]>) {
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

  /// Takes over the values of a block of the same layout.
  package func copy(_ other: ParameterBlock, pool: ComputePool) {
    precondition(other.values.count == values.count, "blocks of one layout")
    pool.parallelRanges(values.count, grain: 1 << 16) { [values, source = other.values] range, _ in
      (values.pointer + range.lowerBound).update(from: source.pointer + range.lowerBound, count: range.count)
    }
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
  package convenience init(_ layout: ParameterLayout, copying source: any WeightSource, pool: ComputePool) {
    var masks: [String: MaskBits] = [:], biases: [String: MaskedTensor] = [:]
    for name in layout.entries.keys {
      masks[name] = source.tensor(name).mask
      biases[name] = source.addedBias(to: name)
    }
    self.init(layout, masks: masks, addedBiases: biases)
    for (name, entry) in layout.entries {
      let tensor = source.tensor(name)
      tensor.read(rows: 0..<tensor.rows, into: block[name], pool: pool)
      precondition(tensor.rows * tensor.columns == entry.count, "\(name) is not of the layout's shape")
    }
  }

  /// Zeros under `masks`.
  package init(
    _ layout: ParameterLayout, masks: [String: MaskBits] = [:], addedBiases: [String: MaskedTensor] = [:]
  ) {
    block = ParameterBlock(layout)
    let storage = BlockStorage(block)
    tensors = Dictionary(
      uniqueKeysWithValues: layout.entries.map { name, entry in
        let view = TensorView(
          storage: storage, byteOffset: entry.offset * MemoryLayout<Float>.stride, dtype: .f32, shape: entry.shape)
        guard let view else { preconditionFailure("\(name) does not lie inside its own block") }
        return (name, MaskedTensor(weights: view))
      })
    self.masks = masks
    self.addedBiases = addedBiases
  }

  /// The same values in memory of their own.
  package func copied(pool: ComputePool) -> Parameters {
    let copy = Parameters(layout, masks: masks, addedBiases: addedBiases)
    copy.block.copy(block, pool: pool)
    return copy
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
