// Which structures of a masked model still do something, and which of the others can stay behind when it is shrunk.

import OrderedCollections
import Tensors
import Transformers
import Workspace

/// For every structure whether something of what it adds is left by the masks.
struct LiveUnits {
  struct Layer {
    /// Whether it adds anything to the hidden state.
    var isLive: Bool
    /// A head is dead if its columns of the output map are pruned, whatever its rows: nothing of it gets through.
    var heads: [Bool]
    /// A neuron likewise, by its column of the last map.
    var neurons: [Bool]
  }

  let layers: [Layer]
  let channels: [Bool]

  /// - Parameter masks: new ones; the other tensors have the revision's.
  init(
    _ state: ModelState, masks: OrderedDictionary<String, MaskBits> = [:], diagnostics: Diagnostics
  ) {
    let model = state.transformer
    func mask(_ name: String) -> MaskBits? { masks[name] ?? state.revision.tensors[name]?.mask?.bits }
    func kept(_ name: String, _ axis: WeightSlice.Axis, count: Int) -> [Bool] {
      guard let mask = mask(name) else { return [Bool](repeating: true, count: count) }
      return axis == .rows ? mask.keptRows : mask.keptColumns
    }
    var layers: [Layer] = [], channels = [Bool](repeating: model.channelObstacle != nil, count: model.shape.hiddenSize)
    for name in model.embeddingTensors {
      channels = zip(channels, kept(name, .columns, count: channels.count)).map { $0 || $1 }
    }
    for layer in 0..<model.shape.layers {
      let inputs = model.linearInputs(layer: layer), counts = model.unitCounts(layer: layer)
      let output = inputs[1].tensors[0], down = inputs[3].tensors[0], D = model.headSize(layer: layer)
      let gathered = kept(output, .columns, count: counts.heads * D)
      let slices = state.withAddedBiases(model.slices(of: .layer, layer: layer))
      let isLive = slices.contains { slice in kept(slice.tensor, slice.axis, count: slice.range.count).contains(true) }
      layers.append(
        Layer(
          isLive: isLive, heads: (0..<counts.heads).map { gathered[$0 * D..<($0 + 1) * D].contains(true) },
          neurons: kept(down, .columns, count: counts.neurons)))
      guard isLive else { continue }
      for slice in slices {
        channels = zip(channels, kept(slice.tensor, slice.axis, count: channels.count)).map { $0 || $1 }
      }
    }
    func collapse(_ words: String) {
      diagnostics.add(
        Diagnostic(.warning, kind: "layerCollapse", "Nothing is left of \(words): one stays, pruned as it is."))
    }
    if !layers.contains(where: \.isLive) {
      collapse("all layers")
      layers[0].isLive = true
    }
    if !channels.contains(true) {
      collapse("all channels")
      channels[0] = true
    }
    self.layers = layers
    self.channels = channels
  }

  /// The units to keep: all that are live, and as many dead ones as the shapes need.
  /// - Parameter uniform: whether every layer is to have as many heads, key/value heads and neurons as the one that
  ///   needs most.
  func kept(in model: Transformer, uniform: Bool, diagnostics: Diagnostics) -> KeptUnits {
    let live = layers.indices.filter { layers[$0].isLive }
    let needs = live.map { HeadNeeds(layers[$0].heads, kvHeads: model.keyValueHeads(layer: $0)) }
    let neurons = live.map { max(1, layers[$0].neurons.count { $0 }) }
    let most = (needs.map(\.groups).max() ?? 1, needs.map(\.perGroup).max() ?? 1, neurons.max() ?? 1)
    let kept = zip(live, zip(needs, neurons)).map { layer, own in
      let heads = own.0.kept(groups: uniform ? most.0 : own.0.groups, perGroup: uniform ? most.1 : own.0.perGroup)
      let neurons = chosen(layers[layer].neurons, uniform ? most.2 : own.1)
      let idle = heads.heads.count { !layers[layer].heads[$0] }
      if idle > 0 {
        diagnostics.add(
          Diagnostic(
            uniform ? .information : .warning, kind: "headGroupingRounded",
            "Layer \(layer) keeps \(idle) pruned \(idle == 1 ? "head" : "heads") as zeros: "
              + (uniform ? "another layer needs as many." : "every key/value head serves the same number of heads.")))
      }
      return KeptUnits.Layer(layer: layer, heads: heads.heads, keyValueHeads: heads.keyValueHeads, neurons: neurons)
    }
    return KeptUnits(channels: chosen(channels, channels.count { $0 }), layers: kept)
  }
}

/// `count` indices, ascending: all that are live, then the first that are not.
private func chosen(_ live: [Bool], _ count: Int) -> [Int] {
  let order = live.indices.filter { live[$0] } + live.indices.filter { !live[$0] }
  return order.prefix(count).sorted()
}

/// What a layer's heads need: key/value heads, and heads for each.
private struct HeadNeeds {
  private let live: [[Bool]]
  /// Key/value heads of which a head is live; at least one.
  let groups: Int
  /// The most live heads of one of them; at least one.
  let perGroup: Int

  init(_ heads: [Bool], kvHeads: Int) {
    let size = heads.count / kvHeads
    live = (0..<kvHeads).map { Array(heads[$0 * size..<($0 + 1) * size]) }
    groups = max(1, live.count { $0.contains(true) })
    perGroup = max(1, live.map { group in group.count { $0 } }.max() ?? 1)
  }

  func kept(groups: Int, perGroup: Int) -> (heads: [Int], keyValueHeads: [Int]) {
    let kvHeads = chosen(live.map { $0.contains(true) }, groups), size = live[0].count
    return (kvHeads.flatMap { group in chosen(live[group], perGroup).map { group * size + $0 } }, kvHeads)
  }
}
