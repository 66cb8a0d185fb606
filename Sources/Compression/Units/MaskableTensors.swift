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
    for name in transformer.channelTensors.keys {
      guard let view = revision.tensors[name]?.weights.view else { continue }
      shapes[name] = MaskShape(rows: view.rows, columns: view.columns)
    }
    return shapes
  }

  /// - Throws: `CompressionError.channelsNotRemovable`.
  package func requireRemovableChannels() throws(CompressionError) {
    if let obstacle = transformer.channelObstacle { throw .channelsNotRemovable(reason: obstacle) }
  }
}
