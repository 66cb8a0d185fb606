// A causal language model as arithmetic over named tensors: what every family of decoders is described by, and all in
// which they differ. Holds no weights: those come from a `WeightSource`, so one value serves every revision.

package import Tensors

/// A decoder-only transformer: x = embed(tokens); x = block(x) for every block; logits = head · norm(x).
package struct Transformer: Sendable, Equatable {
  package let shape: ModelShape
  let embedding: Embedding
  /// What blocks rotate by; `Attention.rotary` is an index into it.
  let rotaries: [Rotary]
  let blocks: [Block]
  let norm: Norm
  /// The output projection; its weight is the embedding's if they are tied.
  let head: Linear
  /// Tensors that some checkpoints carry and no arithmetic reads, by the end of their names.
  var unused: [String] = []
  /// Weights, by the end of their names, that checkpoints in Hugging Face layout store as [inputs, outputs].
  var transposedInHuggingFace: [String] = []
}

extension Transformer {
  /// Heads of a layer.
  package func attentionShape(layer: Int) -> AttentionShape { blocks[layer].attention.form.shape }

  /// Whether the loss is a smooth function of the weights: no activation has a kink.
  package var isSmooth: Bool { blocks.allSatisfy { $0.feedForward.activation != .relu } }
}

/// The sizes that computations around a model need.
package struct ModelShape: Sendable, Equatable {
  package let layers: Int
  package let hiddenSize: Int
  package let vocabularySize: Int
  /// Tokens of the longest sequence that the model was made for.
  package let maximumLength: Int
}

/// hidden[n] = scale * tokens[id] + positions[position + offset]
struct Embedding: Sendable, Equatable {
  let tokens: String
  var scale: Float = 1
  var positions: Positions?

  /// Learned absolute positions: a table of `rows` vectors, of which position p uses row p + offset.
  struct Positions: Sendable, Equatable {
    let tensor: String
    let rows: Int
    let offset: Int
  }
}

/// y = W·x + b with W `[outputs, inputs]`.
struct Linear: Sendable, Equatable {
  let weight: String
  var bias: String?
  let outputs: Int
  let inputs: Int
}

/// A normalisation over the last `channels` channels.
struct Norm: Sendable, Equatable {
  let kind: NormKind
  let epsilon: Float
  let channels: Int
  let weight: String
  var bias: String?
}

/// x += postNorm(attention(norm(x))); x += postNorm(feedForward(norm(x))). Post norms are in some families only.
struct Block: Sendable, Equatable {
  let attentionNorm: Norm
  let attention: Attention
  var attentionPostNorm: Norm?
  let feedForwardNorm: Norm
  let feedForward: FeedForward
  var feedForwardPostNorm: Norm?
}

/// Grouped-query attention with what families add to it.
struct Attention: Sendable, Equatable {
  let form: AttentionForm
  /// Index into `Transformer.rotaries`; nil if positions come with the embedding.
  var rotary: Int?
  /// Maps whose outputs, one after the other, are queries, keys and values: three, or one that is all of them.
  let inputs: [Linear]
  /// Normalisation of every query and key head before the rotation.
  var queryNorm: Norm?
  var keyNorm: Norm?
  let output: Linear

  /// Width of queries, keys and values together.
  var width: Int { form.shape.queryWidth + 2 * form.shape.kvWidth }
}

/// down · (activation(gate · x) * (up · x)), or down · activation(up · x) without a gate.
struct FeedForward: Sendable, Equatable {
  var gate: Linear?
  let up: Linear
  let down: Linear
  let activation: Activation

  var neurons: Int { up.outputs }
}

/// Sequences that go through a model together, one after another; none sees another.
package struct Batch: Sendable, Equatable {
  /// Tokens of each sequence.
  package let lengths: [Int]
  /// Rows of the activations.
  package let tokens: Int
  /// Tokens of the longest sequence.
  package let length: Int
  package var sequences: Int { lengths.count }

  package init(lengths: [Int]) {
    self.lengths = lengths
    tokens = lengths.reduce(0, +)
    length = lengths.max() ?? 0
  }

  /// Sequences of one length.
  package init(sequences: Int, length: Int) { self.init(lengths: Array(repeating: length, count: sequences)) }

  /// The positions of the rows: each sequence from 0.
  package var runs: [PositionRun] {
    var row = 0
    return lengths.map { length in
      defer { row += length }
      return PositionRun(row: row, rows: length, position: 0)
    }
  }
}
