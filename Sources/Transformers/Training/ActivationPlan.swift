// Which layers keep their activations for the backward pass and which compute them again: memory against one more
// forward pass. (Chen et al. 2016, "Training deep nets with sublinear memory cost")

import Tensors

/// How many of the last layers keep their activations. The input of every layer is always kept.
package struct ActivationPlan: Sendable, Equatable {
  package let keptLayers: Int

  /// Every layer keeps its activations.
  package static func keepAll(_ transformer: Transformer) -> ActivationPlan {
    ActivationPlan(keptLayers: transformer.shape.layers)
  }

  /// Every layer computes them again.
  package static let recomputeAll = ActivationPlan(keptLayers: 0)

  package init(keptLayers: Int) { self.keptLayers = keptLayers }

  /// As many layers as fit into `budget` bytes beside what training needs anyway.
  package init(_ transformer: Transformer, batch: Batch, budget: Int) {
    let rest = budget - batch.tokens * transformer.trainingBytesPerToken
    let perLayer = batch.tokens * transformer.keptBytesPerToken
    keptLayers = max(0, min(transformer.shape.layers, rest / max(1, perLayer)))
  }
}

extension Transformer {
  /// Bytes that a layer which keeps its activations needs for a token, beside its input.
  package var keptBytesPerToken: Int {
    4 * widest { block in
      let attention = block.attention, C = shape.hiddenSize
      let projections = attention.width * (attention.queryNorm == nil && attention.keyNorm == nil ? 1 : 2)
      let postNorms = (block.attentionPostNorm == nil ? 0 : C) + (block.feedForwardPostNorm == nil ? 0 : C)
      let feedForward = block.feedForward.neurons * (block.feedForward.gate == nil ? 1 : 2)
      return C + projections + attention.form.shape.queryWidth + postNorms + feedForward
    }
  }

  /// Bytes of a training pass for a token without any kept activations: the layers' inputs, one layer's activations,
  /// gradients.
  package var trainingBytesPerToken: Int {
    let C = shape.hiddenSize, heads = widest { $0.attention.form.shape.queryWidth }
    let gradients = 4 * C + widest { $0.attention.width } + 3 * heads + 2 * widest { $0.feedForward.neurons }
    return 4 * ((shape.layers + 1) * C + gradients) + keptBytesPerToken
  }
}
