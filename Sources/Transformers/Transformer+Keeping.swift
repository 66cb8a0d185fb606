// A transformer with fewer units: the arithmetic that is left when heads, neurons, channels and layers are cut out.

import Tensors

/// How wide a transformer is, layer by layer: what cutting units out changes.
package struct TransformerWidths: Sendable, Equatable {
  package struct Layer: Sendable, Equatable {
    /// Which layer of the transformer that it was cut from.
    package let originalLayer: Int
    /// Query heads; a multiple of `keyValueHeads`.
    package let heads: Int
    package let keyValueHeads: Int
    package let neurons: Int

    package init(originalLayer: Int, heads: Int, keyValueHeads: Int, neurons: Int) {
      self.originalLayer = originalLayer
      self.heads = heads
      self.keyValueHeads = keyValueHeads
      self.neurons = neurons
    }
  }

  package let hiddenSize: Int
  /// In order; at least one.
  package let layers: [Layer]

  package init(hiddenSize: Int, layers: [Layer]) {
    self.hiddenSize = hiddenSize
    self.layers = layers
  }

  /// Whether all layers are alike.
  package var isUniform: Bool {
    layers.allSatisfy { layer in
      layer.heads == layers[0].heads && layer.keyValueHeads == layers[0].keyValueHeads
        && layer.neurons == layers[0].neurons
    }
  }
}

extension Transformer {
  package var widths: TransformerWidths {
    TransformerWidths(
      hiddenSize: shape.hiddenSize,
      layers: blocks.enumerated().map { layer, block in
        TransformerWidths.Layer(
          originalLayer: layer, heads: block.attention.form.shape.heads,
          keyValueHeads: block.attention.form.shape.kvHeads, neurons: block.feedForward.neurons)
      })
  }

  /// What is wrong with widths as what may remain of this transformer: the field and what is expected of it. Nil if
  /// nothing is.
  func fault(in widths: TransformerWidths) -> (field: String, expected: String)? {
    guard (1...shape.hiddenSize).contains(widths.hiddenSize) else {
      return ("hiddenSize", "a count from 1 to \(shape.hiddenSize)")
    }
    if widths.hiddenSize < shape.hiddenSize, let obstacle = channelObstacle {
      return ("hiddenSize", "\(shape.hiddenSize): \(obstacle)")
    }
    guard (1...shape.layers).contains(widths.layers.count) else {
      return ("layers", "1 to \(shape.layers) layers")
    }
    var next = 0
    for (place, layer) in widths.layers.enumerated() {
      let field = "layers[\(place)]."
      guard (next..<shape.layers).contains(layer.originalLayer) else {
        return (field + "originalLayer", "a layer from \(next) to \(shape.layers - 1), in ascending order")
      }
      next = layer.originalLayer + 1
      let old = blocks[layer.originalLayer], heads = old.attention.form.shape.heads
      guard (1...old.attention.form.shape.kvHeads).contains(layer.keyValueHeads) else {
        return (field + "keyValueHeads", "a count from 1 to \(old.attention.form.shape.kvHeads)")
      }
      guard (1...heads).contains(layer.heads), layer.heads % layer.keyValueHeads == 0 else {
        return (field + "heads", "a multiple of keyValueHeads, at most \(heads)")
      }
      guard (1...old.feedForward.neurons).contains(layer.neurons) else {
        return (field + "neurons", "a count from 1 to \(old.feedForward.neurons)")
      }
    }
    return nil
  }

  /// The transformer of these widths. Its layers are named without gaps; what an architecture makes of a layer's place
  /// (windows, rotary bases, scales) stays that of the original place, and embeddings are scaled as before.
  /// - Parameter widths: without a `fault`.
  func keeping(_ widths: TransformerWidths) -> Transformer {
    let old = shape.hiddenSize, C = widths.hiddenSize
    return Transformer(
      shape: ModelShape(
        layers: widths.layers.count, hiddenSize: C, vocabularySize: shape.vocabularySize,
        maximumLength: shape.maximumLength),
      embedding: embedding, rotaries: rotaries,
      blocks: widths.layers.enumerated().map { place, layer in
        blocks[layer.originalLayer].keeping(layer, channels: C, of: old, namedAs: blocks[place])
      },
      norm: norm.keeping(channels: C, of: old, namedAs: norm),
      head: Linear(weight: head.weight, bias: head.bias, outputs: head.outputs, inputs: C), unused: unused,
      transposedInHuggingFace: transposedInHuggingFace)
  }
}

extension Norm {
  /// The norm over C' of C channels where all others are zero, with `weightFactor` on what its weight multiplies by.
  ///
  /// Let S be the sum of the squares of the channels, the same over C and over C'. The old norm gives
  /// x g / sqrt(S/C + eps). With eps' = eps C/C' the new root is sqrt(S/C' + eps C/C') = sqrt(C/C') sqrt(S/C + eps),
  /// so g' = g sqrt(C/C') gives the same.
  fileprivate func keeping(channels: Int, of all: Int, namedAs name: Norm) -> Norm {
    let factor = Double(all) / Double(channels)
    return Norm(
      kind: kind, epsilon: channels == all ? epsilon : Float(Double(epsilon) * factor), channels: channels,
      weight: name.weight, bias: name.bias)
  }

  /// g' / g of `keeping`.
  static func weightFactor(channels: Int, of all: Int) -> Double { (Double(all) / Double(channels)).squareRoot() }
}

extension Block {
  fileprivate func keeping(
    _ widths: TransformerWidths.Layer, channels C: Int, of old: Int, namedAs name: Block
  ) -> Block {
    func norm(_ norm: Norm?, _ name: Norm?) -> Norm? {
      guard let norm, let name else { return nil }
      return norm.keeping(channels: C, of: old, namedAs: name)
    }
    return Block(
      attentionNorm: attentionNorm.keeping(channels: C, of: old, namedAs: name.attentionNorm),
      attention: attention.keeping(widths, channels: C, namedAs: name.attention),
      attentionPostNorm: norm(attentionPostNorm, name.attentionPostNorm),
      feedForwardNorm: feedForwardNorm.keeping(channels: C, of: old, namedAs: name.feedForwardNorm),
      feedForward: feedForward.keeping(neurons: widths.neurons, channels: C, namedAs: name.feedForward),
      feedForwardPostNorm: norm(feedForwardPostNorm, name.feedForwardPostNorm))
  }
}

extension Attention {
  fileprivate func keeping(_ widths: TransformerWidths.Layer, channels C: Int, namedAs name: Attention) -> Attention {
    let D = form.shape.headSize
    let shape = AttentionShape(heads: widths.heads, kvHeads: widths.keyValueHeads, headSize: D)
    // Three maps for queries, keys and values, or one for all.
    let parts = [shape.queryWidth, shape.kvWidth, shape.kvWidth]
    let outputs = inputs.count == 1 ? [parts.reduce(0, +)] : parts
    func named(_ norm: Norm?, _ name: Norm?) -> Norm? {
      guard let norm, let name else { return nil }
      return norm.keeping(channels: norm.channels, of: norm.channels, namedAs: name)
    }
    return Attention(
      form: AttentionForm(shape: shape, scale: form.scale, window: form.window), rotary: rotary,
      inputs: zip(zip(inputs, name.inputs), outputs).map { maps, outputs in
        maps.0.resized(outputs: outputs, inputs: C, namedAs: maps.1)
      },
      queryNorm: named(queryNorm, name.queryNorm), keyNorm: named(keyNorm, name.keyNorm),
      output: output.resized(outputs: C, inputs: shape.queryWidth, namedAs: name.output))
  }
}

extension FeedForward {
  fileprivate func keeping(neurons: Int, channels C: Int, namedAs name: FeedForward) -> FeedForward {
    FeedForward(
      gate: gate.map { $0.resized(outputs: neurons, inputs: C, namedAs: name.gate ?? $0) },
      up: up.resized(outputs: neurons, inputs: C, namedAs: name.up),
      down: down.resized(outputs: C, inputs: neurons, namedAs: name.down), activation: activation)
  }
}

extension Linear {
  fileprivate func resized(outputs: Int, inputs: Int, namedAs name: Linear) -> Linear {
    Linear(weight: name.weight, bias: bias == nil ? nil : name.bias, outputs: outputs, inputs: inputs)
  }
}
