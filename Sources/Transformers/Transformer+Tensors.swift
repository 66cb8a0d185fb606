// A transformer's tensors by name: which it reads, which share an input, which belong to a head or a neuron.

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

/// A structure of a layer that spans several of its weights.
package enum StructuralUnit: Sendable, Equatable {
  /// A query head, from 0.
  case head(Int)
  /// A neuron of the feed-forward network, from 0.
  case neuron(Int)
}

/// Rows or columns of a weight matrix.
package struct WeightSlice: Sendable, Equatable {
  package enum Axis: Sendable { case rows, columns }
  package let tensor: String
  package let axis: Axis
  package let range: Range<Int>
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

  /// Query heads and feed-forward neurons of a layer.
  package func unitCounts(layer: Int) -> (heads: Int, neurons: Int) {
    (blocks[layer].attention.form.shape.heads, blocks[layer].feedForward.neurons)
  }

  /// The weights that belong to a unit of a layer alone: without them it has no effect on the output. A head's query
  /// rows and its columns of the output projection (key/value heads may serve several query heads and stay); a neuron's
  /// rows of the first maps and its column of the last.
  package func slices(of unit: StructuralUnit, layer: Int) -> [WeightSlice] {
    let attention = blocks[layer].attention, feedForward = blocks[layer].feedForward
    switch unit {
    case .head(let head):
      let D = attention.form.shape.headSize
      let range = head * D..<(head + 1) * D
      return [
        WeightSlice(tensor: attention.inputs[0].weight, axis: .rows, range: range),
        WeightSlice(tensor: attention.output.weight, axis: .columns, range: range),
      ]
    case .neuron(let neuron):
      let range = neuron..<neuron + 1
      let first = (feedForward.gate.map { [$0] } ?? []) + [feedForward.up]
      return first.map { WeightSlice(tensor: $0.weight, axis: .rows, range: range) }
        + [WeightSlice(tensor: feedForward.down.weight, axis: .columns, range: range)]
    }
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
