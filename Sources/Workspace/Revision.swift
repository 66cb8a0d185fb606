// A state of a model that never changes: every tensor's blobs, where it came from, and what made it.

package import OrderedCollections
package import Tensors

/// What made a revision: the method of the protocol and its telling parameters, for logs and provenance.
package struct Operation: Sendable, Equatable {
  /// `model/load`, `mask/apply`, ...
  package let method: String
  /// One line for people: `wanda 50 %, group row`.
  package let summary: String
  /// What reproduces it: plugin, parameters, dataset digest, sparsity, ... as text, in order.
  package let details: OrderedDictionary<String, String>
  /// Digests of the datasets that it went by: calibration data, and texts that losses were measured on.
  package let calibration: Set<String>

  package init(
    method: String, summary: String, details: OrderedDictionary<String, String> = [:], calibration: Set<String> = []
  ) {
    self.method = method
    self.summary = summary
    self.details = details
    self.calibration = calibration
  }
}

/// An immutable state of a model. Tensors that an edit leaves alone are shared with the parent.
package final class Revision: Sendable {
  /// `r0` for the loaded model, then `r1`, `r2`, ... in order of creation.
  package let id: String
  package let parent: String?
  package let operation: Operation
  /// Digests of the datasets that this revision or one that it came out of was calibrated on.
  package let calibration: Set<String>
  /// By canonical name, in the order of the checkpoint.
  package let tensors: OrderedDictionary<String, StoredTensor>
  /// Biases that edits added, by the weight of their linear map.
  private let addedBiases: [String: MaskedTensor]
  /// Weights pruned by masks, and all weights of the model.
  package let prunedCount: Int
  package let parameterCount: Int
  /// The fraction of all weights that masks prune, 0...1.
  package var sparsity: Double { Double(prunedCount) / Double(max(1, parameterCount)) }

  init(id: String, parent: Revision?, operation: Operation, tensors: OrderedDictionary<String, StoredTensor>) {
    self.id = id
    self.parent = parent?.id
    self.operation = operation
    calibration = operation.calibration.union(parent?.calibration ?? [])
    self.tensors = tensors
    addedBiases = tensors.values.reduce(into: [:]) { biases, tensor in
      if let weight = tensor.biasOf { biases[weight] = tensor.masked }
    }
    prunedCount = tensors.values.reduce(0) { $0 + $1.prunedCount }
    parameterCount = tensors.values.reduce(0) { $0 + $1.elementCount }
  }

  /// The tensors with some of them replaced: what the next revision is made of.
  package func replacing(masks: [String: MaskBlob?]) -> OrderedDictionary<String, StoredTensor> {
    var tensors = tensors
    for (name, mask) in masks {
      if let tensor = tensors[name] { tensors[name] = tensor.with(mask: mask) }
    }
    return tensors
  }
}

extension Revision: WeightSource {
  package func addedBias(to name: String) -> MaskedTensor? { addedBiases.isEmpty ? nil : addedBiases[name] }

  package func tensor(_ name: String) -> MaskedTensor {
    guard let tensor = tensors[name] else {
      preconditionFailure("no tensor \(name): a model is checked to have every tensor when it is loaded")
    }
    return tensor.masked
  }
}
