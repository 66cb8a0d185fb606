// A transformer's tensors by name: which it reads, and which share an input.

import Tensors
package import OrderedCollections

/// One distinct input of linear maps: tensors that read the same activations share one.
package struct LinearInput: Sendable, Hashable {
  package let layer: Int
  /// The place in the layer: `attention`, `attentionOutput`, `mlp`, `mlpDown`.
  package let site: String
  /// Names of the weights that are multiplied with it.
  package let tensors: [String]
  /// Width of the activations: the columns of those weights.
  package let columns: Int
}

extension Transformer {
  /// Every tensor that the arithmetic reads, with its shape, in the order of computation.
  package var expectedTensors: OrderedDictionary<String, [Int]> {
    var tensors: OrderedDictionary<String, [Int]> = [embedding.tokens: [shape.vocabularySize, shape.hiddenSize]]
    if let positions = embedding.positions { tensors[positions.tensor] = [positions.rows, shape.hiddenSize] }
    for block in blocks { tensors.merge(block.tensors) { first, _ in first } }
    tensors.merge(norm.tensors) { first, _ in first }
    tensors.merge(head.tensors) { first, _ in first }
    return tensors
  }

  /// Whether a checkpoint may carry `tensor` although nothing reads it.
  func isUnused(_ tensor: String) -> Bool { unused.contains { tensor.hasSuffix($0) } }

  /// The tensors that embed tokens.
  package var embeddingTensors: [String] { [embedding.tokens] + (embedding.positions.map { [$0.tensor] } ?? []) }

  /// All tensors that decide the output of layer `layer` given its input.
  package func tensors(layer: Int) -> [String] { Array(blocks[layer].tensors.keys) }

  /// The linear maps of layer `layer`, in the order in which the layer computes them. Their weights are what is pruned.
  package func linearInputs(layer: Int) -> [LinearInput] {
    let attention = blocks[layer].attention, feedForward = blocks[layer].feedForward
    func input(_ site: String, _ maps: [Linear]) -> LinearInput {
      LinearInput(layer: layer, site: site, tensors: maps.map(\.weight), columns: maps[0].inputs)
    }
    return [
      input("attention", attention.inputs), input("attentionOutput", [attention.output]),
      input("mlp", (feedForward.gate.map { [$0] } ?? []) + [feedForward.up]), input("mlpDown", [feedForward.down]),
    ]
  }

  /// The bias of each linear map of the blocks that has one, by the map's weight.
  package var biasNames: [String: String] {
    var names: [String: String] = [:]
    for block in blocks {
      let feedForward = block.feedForward
      let maps = block.attention.inputs + [block.attention.output, feedForward.up, feedForward.down]
      for map in maps + (feedForward.gate.map { [$0] } ?? []) { names[map.weight] = map.bias }
    }
    return names
  }
}

extension Block {
  /// In the order of computation.
  fileprivate var tensors: OrderedDictionary<String, [Int]> {
    var tensors = attentionNorm.tensors
    func add(_ more: OrderedDictionary<String, [Int]>?) { tensors.merge(more ?? [:]) { first, _ in first } }
    for map in attention.inputs { add(map.tensors) }
    add(attention.queryNorm?.tensors)
    add(attention.keyNorm?.tensors)
    add(attention.output.tensors)
    add(attentionPostNorm?.tensors)
    add(feedForwardNorm.tensors)
    add(feedForward.gate?.tensors)
    add(feedForward.up.tensors)
    add(feedForward.down.tensors)
    add(feedForwardPostNorm?.tensors)
    return tensors
  }
}

extension Linear {
  fileprivate var tensors: OrderedDictionary<String, [Int]> {
    var tensors: OrderedDictionary<String, [Int]> = [weight: [outputs, inputs]]
    if let bias { tensors[bias] = [outputs] }
    return tensors
  }
}

extension Norm {
  fileprivate var tensors: OrderedDictionary<String, [Int]> {
    var tensors: OrderedDictionary<String, [Int]> = [weight: [channels]]
    if let bias { tensors[bias] = [channels] }
    return tensors
  }
}
