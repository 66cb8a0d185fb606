// What hidden states and statistics of a layer depend on, as keys of remembered results.

import OrderedCollections
import Transformers
import Workspace

/// The keys of a dataset's way through a model at one revision.
struct KeyChains {
  private let dataset: String
  /// Of all tensors in the order of computation, and how many of them decide what leaves each layer.
  private let tensors: [TensorKey]
  private let entering: Int
  private let leaving: [Int]

  init(_ state: ModelState, dataset: Dataset) {
    let model = state.transformer, revision = state.revision
    self.dataset = dataset.digest
    func keys(_ names: some Sequence<String>) -> [TensorKey] {
      names.compactMap { revision.tensors[$0].map(TensorKey.init) }
    }
    // A bias that an edit added goes with the weight whose map it was added to.
    var biases: [String: [String]] = [:]
    for (name, tensor) in revision.tensors {
      if let weight = tensor.biasOf { biases[weight, default: []].append(name) }
    }
    func withBiases(_ names: [String]) -> [String] { names.flatMap { [$0] + (biases[$0] ?? []) } }
    let expected = model.expectedTensors
    let inLayers = (0..<model.shape.layers).map { withBiases(model.tensors(layer: $0)) }
    let before = model.embeddingTensors, within = Set(inLayers.joined())
    let behind = expected.keys.filter { !within.contains($0) && !before.contains($0) }
    // Tensors that the model's description does not name may matter to any layer: they count for all.
    let unnamed = revision.tensors.keys.filter { expected[$0] == nil && !within.contains($0) }
    var tensors = keys(before) + keys(unnamed)
    entering = tensors.count
    leaving = inLayers.map { names in
      tensors += keys(names)
      return tensors.count
    }
    self.tensors = tensors + keys(behind)
  }

  /// Of what enters layer `layer`: the embedding and all layers before.
  func enteringLayer(_ layer: Int) -> CalibrationKey {
    key(layer == 0 ? entering : leaving[layer - 1])
  }

  /// Of what happens in layer `layer`.
  func throughLayer(_ layer: Int) -> CalibrationKey { key(leaving[layer]) }

  /// Of anything that depends on the whole model.
  var wholeModel: CalibrationKey { key(tensors.count) }

  private func key(_ count: Int) -> CalibrationKey {
    CalibrationKey(dataset: dataset, tensors: Array(tensors.prefix(count)))
  }
}
