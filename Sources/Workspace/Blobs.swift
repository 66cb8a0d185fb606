// Immutable bytes with an identity: the weights of a tensor, or the mask over it.

package import Tensors
import Synchronization

/// The identity of a blob within this process. Two blobs with the same identity are the same object, so equal
/// identities mean equal bits; results are remembered under them.
package struct BlobID: Hashable, Sendable {
  private static let last = Atomic<UInt64>(0)
  package let value: UInt64

  static func next() -> BlobID { BlobID(value: last.wrappingAdd(1, ordering: .relaxed).newValue) }
}

/// The weights of one tensor.
package final class WeightsBlob: Sendable {
  package let id = BlobID.next()
  package let view: TensorView
  /// The mask that they were made under: where it prunes they are 0. Nil for a model's own weights.
  package let madeUnder: MaskBits?

  package init(_ view: TensorView, madeUnder mask: MaskBits? = nil) {
    self.view = view
    madeUnder = mask
  }
}

/// The mask over one tensor, with its count of kept weights.
package final class MaskBlob: Sendable {
  package let id = BlobID.next()
  package let bits: MaskBits
  package let keptCount: Int

  package init(_ bits: MaskBits) {
    self.bits = bits
    keptCount = bits.keptCount
  }
}

/// A tensor in a revision: its weights and, if it is pruned, its mask.
package struct StoredTensor: Sendable {
  package let weights: WeightsBlob
  package let mask: MaskBlob?
  /// The weight to whose linear map this bias was added by an edit; nil for the model's own tensors.
  package let biasOf: String?

  package init(weights: WeightsBlob, mask: MaskBlob? = nil, biasOf: String? = nil) {
    self.weights = weights
    self.mask = mask
    self.biasOf = biasOf
  }

  package var elementCount: Int { weights.view.elementCount }
  package var prunedCount: Int { mask.map { elementCount - $0.keptCount } ?? 0 }
  /// The fraction of weights that the mask prunes, 0...1.
  package var sparsity: Double { Double(prunedCount) / Double(elementCount) }
  package var masked: MaskedTensor { MaskedTensor(weights: weights.view, mask: mask?.bits) }

  /// The same weights under another mask, which cannot keep what these weights do not have.
  package func with(mask: MaskBlob?) -> StoredTensor {
    var mask = mask
    if let made = weights.madeUnder { mask = MaskBlob(mask?.bits.intersection(made) ?? made) }
    return StoredTensor(weights: weights, mask: mask, biasOf: biasOf)
  }
}

/// What decides a tensor's values: its identity in the keys of remembered results.
package struct TensorKey: Hashable, Sendable {
  package let weights: BlobID
  package let mask: BlobID?

  package init(_ tensor: StoredTensor) {
    weights = tensor.weights.id
    mask = tensor.mask?.id
  }
}
