// The structures of a transformer that can be cut out whole (heads, neurons, channels, layers), and which weights belong
// to each.

package import OrderedCollections
import Tensors

/// A structure that spans several weights.
package enum StructuralUnit: Sendable, Hashable {
  /// A query head of a layer, from 0.
  case head(Int)
  /// A neuron of a layer's feed-forward network, from 0.
  case neuron(Int)
  /// A channel of the hidden state, from 0.
  case channel(Int)
  /// A whole layer.
  case layer
}

/// Rows or columns of a weight matrix. A vector is one row.
package struct WeightSlice: Sendable, Equatable {
  package enum Axis: Sendable { case rows, columns }
  package let tensor: String
  package let axis: Axis
  package let range: Range<Int>

  package init(tensor: String, axis: Axis, range: Range<Int>) {
    self.tensor = tensor
    self.axis = axis
    self.range = range
  }
}

extension Transformer {
  /// Query heads and feed-forward neurons of a layer.
  package func unitCounts(layer: Int) -> (heads: Int, neurons: Int) {
    (blocks[layer].attention.form.shape.heads, blocks[layer].feedForward.neurons)
  }

  /// Key/value heads of a layer. Query head h reads key/value head h / (heads / keyValueHeads).
  package func keyValueHeads(layer: Int) -> Int { blocks[layer].attention.form.shape.kvHeads }

  /// Channels of a head of a layer.
  package func headSize(layer: Int) -> Int { blocks[layer].attention.form.shape.headSize }

  /// The weights without which a unit of a layer has no effect on the output; of a channel those that lie in the layer
  /// (`slices(ofChannel:)` has all).
  ///
  /// - A head: its query rows and its columns of the output projection. Key/value heads may serve several query heads
  ///   and stay; see `slices(ofHeads:layer:)`.
  /// - A neuron: its rows of the first maps and its column of the last.
  /// - A channel: its rows of the two maps that add to the hidden state, and its elements of their biases.
  /// - A layer: those two maps with their biases: it then adds nothing.
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
      return feedForward.first.map { WeightSlice(tensor: $0.weight, axis: .rows, range: range) }
        + [WeightSlice(tensor: feedForward.down.weight, axis: .columns, range: range)]
    case .channel(let channel): return writers(layer: layer, outputs: channel..<channel + 1)
    case .layer: return writers(layer: layer, outputs: 0..<shape.hiddenSize)
    }
  }

  /// The weights without which these heads of a layer have no effect: those of each, and the rows of the key/value
  /// heads that serve none but them.
  package func slices(ofHeads heads: [Int], layer: Int) -> [WeightSlice] {
    let attention = blocks[layer].attention, shape = attention.form.shape
    var slices = heads.flatMap { self.slices(of: .head($0), layer: layer) }
    let gone = Set(heads), group = shape.heads / shape.kvHeads
    for kvHead in 0..<shape.kvHeads where (kvHead * group..<(kvHead + 1) * group).allSatisfy(gone.contains) {
      slices += attention.keyValueRows(ofHead: kvHead).map { map, rows in
        WeightSlice(tensor: attention.inputs[map].weight, axis: .rows, range: rows)
      }
    }
    return slices
  }

  /// Every part of a head that has keys and values of its own, always in the same order: its rows of queries, keys and
  /// values, their biases, and its columns of the output map.
  package func parts(ofHead head: Int, layer: Int) -> [WeightSlice] {
    let attention = blocks[layer].attention, D = attention.form.shape.headSize
    let rows = [(map: 0, rows: head * D..<(head + 1) * D)] + attention.keyValueRows(ofHead: head)
    return rows.flatMap { map, rows in
      [WeightSlice(tensor: attention.inputs[map].weight, axis: .rows, range: rows)]
        + (attention.inputs[map].bias.map { [WeightSlice(tensor: $0, axis: .columns, range: rows)] } ?? [])
    } + [WeightSlice(tensor: attention.output.weight, axis: .columns, range: head * D..<(head + 1) * D)]
  }

  /// The weights without which a channel of the hidden state is zero from the embedding to the last norm.
  package func slices(ofChannel channel: Int) -> [WeightSlice] {
    let range = channel..<channel + 1
    return embeddingTensors.map { WeightSlice(tensor: $0, axis: .columns, range: range) }
      + (0..<shape.layers).flatMap { slices(of: .channel(channel), layer: $0) }
  }

  /// The slices of the maps that read the hidden state or are read by it, beyond those without which a unit has no
  /// effect: what else there is only for the unit. A channel's columns of the maps that read it; all other maps of a
  /// layer; nothing more of heads (`slices(ofHeads:layer:)`) and neurons.
  package func dependentSlices(of unit: StructuralUnit, layer: Int) -> [WeightSlice] {
    let readers = blocks[layer].attention.inputs + blocks[layer].feedForward.first
    switch unit {
    case .head, .neuron: return []
    case .channel(let channel):
      return readers.map { WeightSlice(tensor: $0.weight, axis: .columns, range: channel..<channel + 1) }
    case .layer: return readers.map { WeightSlice(tensor: $0.weight, axis: .rows, range: 0..<$0.outputs) }
    }
  }

  /// Every tensor that a mask may prune beside the matrices of linear maps: the embeddings and the biases that are added
  /// to the hidden state.
  package var channelTensors: OrderedDictionary<String, [Int]> {
    var tensors: OrderedDictionary<String, [Int]> = [:]
    let expected = expectedTensors
    let biases = blocks.flatMap { [$0.attention.output.bias, $0.feedForward.down.bias] }.compactMap { $0 }
    for name in embeddingTensors + biases { tensors[name] = expected[name] }
    return tensors
  }

  /// Why no channel of this model can be taken out; nil if all can.
  ///
  /// A channel that is zero must stay zero and must not matter to others. A root mean square keeps it so, and fewer
  /// channels only change the mean by a known factor (`Norm.keeping`). A layer norm subtracts the mean over all channels
  /// from each, and a norm's bias makes something of nothing.
  package var channelObstacle: String? {
    let norms = blocks.flatMap { block in
      [block.attentionNorm, block.feedForwardNorm, block.attentionPostNorm, block.feedForwardPostNorm].compactMap { $0 }
    }
    for norm in norms + [self.norm] {
      if norm.kind == .layer { return "\(norm.weight) is a layer norm, whose mean all channels share" }
      if norm.bias != nil { return "\(norm.weight) has a bias" }
    }
    return nil
  }

  /// Weights of linear maps that go with a unit of a layer when it is cut out; of a channel those in one layer.
  package func parameterCount(of unit: StructuralUnit, layer: Int) -> Int {
    let block = blocks[layer], shape = block.attention.form.shape, C = self.shape.hiddenSize
    let first = block.feedForward.first.count
    switch unit {
    case .head: return (shape.kvHeads == shape.heads ? 4 : 2) * shape.headSize * C
    case .neuron: return (first + 1) * C
    case .channel: return 2 * (shape.queryWidth + shape.kvWidth) + (first + 1) * block.feedForward.neurons
    case .layer:
      return block.attention.width * C + shape.queryWidth * C + (first + 1) * block.feedForward.neurons * C
    }
  }

  private func writers(layer: Int, outputs: Range<Int>) -> [WeightSlice] {
    [blocks[layer].attention.output, blocks[layer].feedForward.down].flatMap { map in
      [WeightSlice(tensor: map.weight, axis: .rows, range: outputs)]
        + (map.bias.map { [WeightSlice(tensor: $0, axis: .columns, range: outputs)] } ?? [])
    }
  }
}

extension Attention {
  /// Where the key and the value rows of a key/value head are: which of `inputs`, and which of its rows.
  func keyValueRows(ofHead head: Int) -> [(map: Int, rows: Range<Int>)] {
    let shape = form.shape, D = shape.headSize
    let keys = shape.queryWidth + head * D
    return [keys, keys + shape.kvWidth].map { first in
      var map = 0, start = first
      while start >= inputs[map].outputs {
        start -= inputs[map].outputs
        map += 1
      }
      return (map, start..<start + D)
    }
  }
}

extension FeedForward {
  /// The maps before the activation.
  var first: [Linear] { (gate.map { [$0] } ?? []) + [up] }
}
