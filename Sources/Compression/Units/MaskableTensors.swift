// Which tensors a mask may sit on: what methods prune, and beyond that what belongs to channels and whole layers.

package import OrderedCollections
import Tensors
import Transformers
import Workspace

/// The shape of a mask. A vector is one row.
package struct MaskShape: Sendable, Equatable {
  package let rows: Int
  package let columns: Int
}

extension ModelState {
  /// Every tensor that may have a mask: the prunable ones, then embeddings and the biases that are added to the hidden
  /// state, which are pruned with the channels and layers that they belong to, never by scores of their own.
  package var maskShapes: OrderedDictionary<String, MaskShape> {
    var shapes: OrderedDictionary<String, MaskShape> = prunableTensors.mapValues {
      MaskShape(rows: $0.rows, columns: $0.columns)
    }
    for name in Array(transformer.channelTensors.keys) + addedWriterBiases.values.sorted() {
      guard let view = revision.tensors[name]?.weights.view else { continue }
      shapes[name] = MaskShape(rows: view.rows, columns: view.columns)
    }
    return shapes
  }

  /// Biases that edits added to the maps that add to the hidden state, by the map's weight.
  private var addedWriterBiases: [String: String] {
    var names: [String: String] = [:]
    for (name, tensor) in revision.tensors {
      if let weight = tensor.biasOf { names[weight] = name }
    }
    guard !names.isEmpty else { return [:] }
    let writers = Set((0..<transformer.shape.layers).flatMap { layer in
      transformer.slices(of: .layer, layer: layer).map(\.tensor)
    })
    return names.filter { writers.contains($0.key) }
  }

  /// The slices of channels and layers together with those of biases that edits added to their maps.
  func withAddedBiases(_ slices: [WeightSlice]) -> [WeightSlice] {
    let added = addedWriterBiases
    guard !added.isEmpty else { return slices }
    return slices.flatMap { slice in
      guard slice.axis == .rows, let bias = added[slice.tensor] else { return [slice] }
      return [slice, WeightSlice(tensor: bias, axis: .columns, range: slice.range)]
    }
  }

  /// - Throws: `CompressionError.channelsNotRemovable`.
  package func requireRemovableChannels() throws(CompressionError) {
    if let obstacle = transformer.channelObstacle { throw .channelsNotRemovable(reason: obstacle) }
  }
}
