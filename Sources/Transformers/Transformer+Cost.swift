// What computing with a model costs, in operations and in bytes, from its description alone.

import OrderedCollections
package import Tensors

extension Transformer {
  /// Weights of the linear maps of all blocks.
  private var linearWeights: Double {
    blocks.reduce(0) { sum, block in
      let maps = block.attention.inputs + [block.attention.output, block.feedForward.up, block.feedForward.down]
      return (maps + (block.feedForward.gate.map { [$0] } ?? [])).reduce(sum) {
        $0 + Double($1.outputs) * Double($1.inputs)
      }
    }
  }

  /// Floating-point operations of the blocks over `batch`: two for each multiplication of a matrix product, attention
  /// counted for the positions that are seen.
  package func blockOperations(batch: Batch) -> Double {
    let attended = blocks.reduce(0.0) { sum, block in
      let form = block.attention.form
      let window = form.window > 0 ? min(form.window, batch.length) : batch.length
      let seen = Double(window) * (Double(batch.length) - Double(window - 1) / 2) / Double(batch.length)
      return sum + 2 * Double(form.shape.queryWidth) * seen
    }
    return 2 * Double(batch.tokens) * (linearWeights + attended)
  }

  /// Floating-point operations of the output projection over `rows` rows.
  package func headOperations(rows: Int) -> Double {
    2 * Double(rows) * Double(shape.vocabularySize) * Double(shape.hiddenSize)
  }

  /// Floating-point operations of a forward pass over `batch` with its losses.
  package func forwardOperations(batch: Batch) -> Double {
    blockOperations(batch: batch) + headOperations(rows: batch.sequences * (batch.length - 1))
  }

  /// Bytes of stored weights that one decoded token reads: all but the embeddings, of which it takes a row.
  package func bytesPerToken(_ weights: any WeightSource) -> Int {
    bytesPerToken { weights.tensor($0).weights.byteCount }
  }

  /// The same, given the bytes of each tensor.
  package func bytesPerToken(_ bytes: (_ tensor: String) -> Int) -> Int {
    expectedTensors.keys.reduce(0) { sum, name in
      let isOnlyLookedUp = embeddingTensors.contains(name) && name != head.weight
      return isOnlyLookedUp ? sum : sum + bytes(name)
    }
  }

  /// The widest of a measure over the blocks.
  func widest(_ width: (Block) -> Int) -> Int { blocks.map(width).max() ?? 0 }

  /// Bytes of working memory that one token of a forward pass needs.
  package var activationBytesPerToken: Int {
    let attention = widest { $0.attention.width + $0.attention.form.shape.queryWidth }
    return 4 * (3 * shape.hiddenSize + attention + 2 * widest { $0.feedForward.neurons })
  }

  /// Elements of the largest matrix of a block.
  var largestMatrix: Int {
    widest { block in
      let maps = block.attention.inputs + [block.attention.output, block.feedForward.up, block.feedForward.down]
      return maps.map { $0.outputs * $0.inputs }.max() ?? 0
    }
  }
}
