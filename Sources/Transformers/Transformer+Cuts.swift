// Which rows and columns of which tensors a transformer with fewer units is made of.

package import OrderedCollections
import Tensors

/// The units that stay, by their places in the transformer that is cut.
package struct KeptUnits: Sendable, Equatable {
  package struct Layer: Sendable, Equatable {
    package let layer: Int
    /// Ascending; each key/value head that stays keeps the same number of its query heads.
    package let heads: [Int]
    package let keyValueHeads: [Int]
    package let neurons: [Int]

    package init(layer: Int, heads: [Int], keyValueHeads: [Int], neurons: [Int]) {
      self.layer = layer
      self.heads = heads
      self.keyValueHeads = keyValueHeads
      self.neurons = neurons
    }
  }

  /// Ascending.
  package let channels: [Int]
  package let layers: [Layer]

  package init(channels: [Int], layers: [Layer]) {
    self.channels = channels
    self.layers = layers
  }

  package var widths: TransformerWidths {
    TransformerWidths(
      hiddenSize: channels.count,
      layers: layers.map { layer in
        TransformerWidths.Layer(
          originalLayer: layer.layer, heads: layer.heads.count, keyValueHeads: layer.keyValueHeads.count,
          neurons: layer.neurons.count)
      })
  }
}

/// How a tensor of the smaller transformer comes out of one of the larger.
package struct TensorCut: Sendable, Equatable {
  /// The tensor of the larger one.
  package let source: String
  /// Ascending; nil for all. A vector is one row.
  package let rows: [Int]?
  package let columns: [Int]?
  /// Norms over fewer channels: what is multiplied with `factor` is the weight plus `offset`.
  package var scaling: (factor: Double, offset: Double)?

  package init(source: String, rows: [Int]?, columns: [Int]?, scaling: (factor: Double, offset: Double)? = nil) {
    self.source = source
    self.rows = rows
    self.columns = columns
    self.scaling = scaling
  }

  package static func == (a: TensorCut, b: TensorCut) -> Bool {
    a.source == b.source && a.rows == b.rows && a.columns == b.columns && a.scaling?.factor == b.scaling?.factor
      && a.scaling?.offset == b.scaling?.offset
  }
}

extension Transformer {
  /// The tensors that the transformer of `kept.widths` reads, by their names there, in the order of computation.
  package func cuts(_ kept: KeptUnits) -> OrderedDictionary<String, TensorCut> {
    let smaller = keeping(kept.widths)
    let C = shape.hiddenSize, channels = kept.channels.count == C ? nil : kept.channels
    var cuts = CutList(channels: channels, of: C)
    for name in embeddingTensors { cuts.add(name, from: name, columns: channels) }
    for (block, layer) in zip(smaller.blocks, kept.layers) { cuts.add(block, from: blocks[layer.layer], layer) }
    cuts.add(smaller.norm, from: norm)
    if cuts.all[head.weight] == nil { cuts.add(head.weight, from: head.weight, columns: channels) }
    return cuts.all
  }
}

/// Cuts as they are listed.
private struct CutList {
  /// Nil for all.
  let channels: [Int]?
  let of: Int
  var all: OrderedDictionary<String, TensorCut> = [:]

  init(channels: [Int]?, of: Int) {
    self.channels = channels
    self.of = of
  }

  mutating func add(_ name: String, from source: String, rows: [Int]? = nil, columns: [Int]? = nil) {
    all[name] = TensorCut(source: source, rows: rows, columns: columns)
  }

  /// A norm over the hidden state.
  mutating func add(_ norm: Norm, from source: Norm) {
    var cut = TensorCut(source: source.weight, rows: nil, columns: channels)
    if let channels {
      let offset: Double = if case .rms(let offset) = source.kind { Double(offset) } else { 0 }
      cut.scaling = (Norm.weightFactor(channels: channels.count, of: of), offset)
    }
    all[norm.weight] = cut
    if let bias = norm.bias, let sourceBias = source.bias { add(bias, from: sourceBias, columns: channels) }
  }

  /// A map, with its bias.
  mutating func add(_ map: Linear, from source: Linear, outputs: [Int]?, inputs: [Int]?) {
    add(map.weight, from: source.weight, rows: outputs, columns: inputs)
    if let bias = map.bias, let sourceBias = source.bias { add(bias, from: sourceBias, columns: outputs) }
  }

  mutating func add(_ block: Block, from source: Block, _ kept: KeptUnits.Layer) {
    let attention = source.attention, shape = attention.form.shape, D = shape.headSize
    func rows(_ heads: [Int], from start: Int) -> [Int] {
      heads.flatMap { start + $0 * D..<start + ($0 + 1) * D }
    }
    let keepsHeads = kept.heads.count == shape.heads && kept.keyValueHeads.count == shape.kvHeads
    let queries = rows(kept.heads, from: 0)
    // Queries, keys and values, one after the other, whichever map has them.
    let all = queries + rows(kept.keyValueHeads, from: shape.queryWidth)
      + rows(kept.keyValueHeads, from: shape.queryWidth + shape.kvWidth)

    add(block.attentionNorm, from: source.attentionNorm)
    var start = 0
    for (map, old) in zip(block.attention.inputs, attention.inputs) {
      let own = all.filter { (start..<start + old.outputs).contains($0) }.map { $0 - start }
      add(map, from: old, outputs: keepsHeads ? nil : own, inputs: channels)
      start += old.outputs
    }
    for (norm, old) in [
      (block.attention.queryNorm, attention.queryNorm), (block.attention.keyNorm, attention.keyNorm),
    ] {
      if let norm, let old { add(norm.weight, from: old.weight) }
    }
    add(
      block.attention.output, from: attention.output, outputs: channels,
      inputs: kept.heads.count == shape.heads ? nil : queries)
    if let norm = block.attentionPostNorm, let old = source.attentionPostNorm { add(norm, from: old) }

    let feedForward = source.feedForward
    let neurons = kept.neurons.count == feedForward.neurons ? nil : kept.neurons
    add(block.feedForwardNorm, from: source.feedForwardNorm)
    for (map, old) in zip(block.feedForward.first, feedForward.first) {
      add(map, from: old, outputs: neurons, inputs: channels)
    }
    add(block.feedForward.down, from: feedForward.down, outputs: channels, inputs: neurons)
    if let norm = block.feedForwardPostNorm, let old = source.feedForwardPostNorm { add(norm, from: old) }
  }
}
