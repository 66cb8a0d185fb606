// What the configurations of Llama and its descendants have in common: sizes, biases, rotary embedding, windows; and
// the blocks they make: root mean square norms, grouped-query attention, a gated feed-forward network.

import JSON
import Tensors

/// The numbers that Llama, Mistral, Qwen and Gemma configurations share.
struct RotaryFamily {
  let layers: Int  // num_hidden_layers
  let hiddenSize: Int  // hidden_size
  let intermediateSize: Int  // intermediate_size
  let attention: AttentionShape  // num_attention_heads, num_key_value_heads, head_dim
  let vocabularySize: Int  // vocab_size
  let maximumLength: Int  // max_position_embeddings
  let epsilon: Float  // rms_norm_eps
  let tiedEmbeddings: Bool  // tie_word_embeddings
  /// What the names of tensors begin with.
  let prefix: String

  /// The values that transformers takes for fields that are left out.
  struct Defaults {
    var headSize: Int?
    var maximumLength = 2048
    var tiedEmbeddings = false
    var kvHeads: Int?
  }

  init(_ fields: inout JSONFields, prefix: String, _ defaults: Defaults = Defaults()) throws(JSONFieldError) {
    self.prefix = prefix
    layers = try fields.int("num_hidden_layers", in: Bounds.layers)
    hiddenSize = try fields.int("hidden_size", in: Bounds.sizes)
    intermediateSize = try fields.int("intermediate_size", in: Bounds.sizes)
    let heads = try fields.int("num_attention_heads", in: Bounds.sizes)
    let kvHeads = try fields.int("num_key_value_heads", in: Bounds.sizes, default: defaults.kvHeads ?? heads)
    guard heads % kvHeads == 0 else {
      throw fields.error(.outOfRange, "num_key_value_heads", expected: "a divisor of num_attention_heads, \(heads)")
    }
    let headSize = try fields.int("head_dim", in: Bounds.sizes, default: defaults.headSize ?? hiddenSize / heads)
    guard headSize >= 2, headSize % 2 == 0 else {
      throw fields.error(.outOfRange, "head_dim", expected: "an even number")
    }
    attention = AttentionShape(heads: heads, kvHeads: kvHeads, headSize: headSize)
    vocabularySize = try fields.int("vocab_size", in: Bounds.sizes)
    maximumLength = try fields.int("max_position_embeddings", in: Bounds.sizes, default: defaults.maximumLength)
    epsilon = Float(try fields.double("rms_norm_eps", in: 0...1, default: 1e-6))
    tiedEmbeddings = try fields.bool("tie_word_embeddings", default: defaults.tiedEmbeddings)
    _ = try fields.double("partial_rotary_factor", in: 1...1, default: 1)
  }

  /// The rotary embedding of the whole model.
  func rotary(_ fields: inout JSONFields, defaultBase: Double = 10_000) throws(JSONFieldError) -> Rotary {
    try Rotary(&fields, headSize: attention.headSize, maximumLength: maximumLength, defaultBase: defaultBase)
  }

  func norm(_ name: String, offset: Float = 0, channels: Int? = nil) -> Norm {
    Norm(
      kind: .rms(offset: offset), epsilon: epsilon, channels: channels ?? hiddenSize, weight: prefix + name + ".weight")
  }

  func linear(_ name: String, _ outputs: Int, _ inputs: Int, bias: Bool = false) -> Linear {
    Linear(
      weight: prefix + name + ".weight", bias: bias ? prefix + name + ".bias" : nil, outputs: outputs, inputs: inputs)
  }

  /// Attention under the names of the family.
  func attention(
    layer: Int, form: AttentionForm, rotary: Int = 0, inputBias: Bool = false, outputBias: Bool = false,
    headNorm: Float? = nil
  ) -> Attention {
    let name = "layers.\(layer).self_attn.", C = hiddenSize, shape = form.shape
    func perHead(_ part: String) -> Norm? {
      headNorm.map { norm(name + part, offset: $0, channels: shape.headSize) }
    }
    return Attention(
      form: form, rotary: rotary,
      inputs: [
        linear(name + "q_proj", shape.queryWidth, C, bias: inputBias),
        linear(name + "k_proj", shape.kvWidth, C, bias: inputBias),
        linear(name + "v_proj", shape.kvWidth, C, bias: inputBias),
      ],
      queryNorm: perHead("q_norm"), keyNorm: perHead("k_norm"),
      output: linear(name + "o_proj", C, shape.queryWidth, bias: outputBias))
  }

  /// The gated feed-forward network under the names of the family.
  func feedForward(layer: Int, _ activation: Activation, bias: Bool = false) -> FeedForward {
    let name = "layers.\(layer).mlp.", C = hiddenSize, F = intermediateSize
    return FeedForward(
      gate: linear(name + "gate_proj", F, C, bias: bias), up: linear(name + "up_proj", F, C, bias: bias),
      down: linear(name + "down_proj", C, F, bias: bias), activation: activation)
  }

  /// A block with a norm before attention and one before the feed-forward network.
  func block(layer: Int, _ attention: Attention, _ feedForward: FeedForward) -> Block {
    Block(
      attentionNorm: norm("layers.\(layer).input_layernorm"), attention: attention,
      feedForwardNorm: norm("layers.\(layer).post_attention_layernorm"), feedForward: feedForward)
  }

  func transformer(
    blocks: [Block], rotaries: [Rotary], embeddingScale: Float = 1, normOffset: Float = 0
  ) -> Transformer {
    let embedding = prefix + Self.embedding
    let headPrefix = prefix.hasSuffix("model.") ? String(prefix.dropLast("model.".count)) : ""
    return Transformer(
      shape: ModelShape(
        layers: layers, hiddenSize: hiddenSize, vocabularySize: vocabularySize, maximumLength: maximumLength),
      embedding: Embedding(tokens: embedding, scale: embeddingScale), rotaries: rotaries, blocks: blocks,
      norm: norm("norm", offset: normOffset),
      head: Linear(
        weight: tiedEmbeddings ? embedding : headPrefix + "lm_head.weight", outputs: vocabularySize,
        inputs: hiddenSize),
      unused: ["rotary_emb.inv_freq"] + (tiedEmbeddings ? ["lm_head.weight"] : []))
  }

  static let embedding = "embed_tokens.weight"
}

/// Bounds of what configurations may say.
enum Bounds {
  /// Every size, so that products of a few of them stay far from overflow.
  static let sizes = 1...(1 << 24)
  /// Layers: names are made for each before anybody knows whether the checkpoint has them.
  static let layers = 1...4096
}

extension JSONFields {
  /// The activation that `field` names.
  mutating func activation(
    _ field: String, default fallback: String
  ) throws(JSONFieldError) -> Activation {
    let names: [String: Activation] = [
      "silu": .silu, "swish": .silu, "gelu": .gelu, "gelu_new": .geluTanh, "gelu_pytorch_tanh": .geluTanh,
      "gelu_fast": .geluTanh, "relu": .relu,
    ]
    let name = try string(field, oneOf: names.keys.sorted(), default: fallback)
    return names[name] ?? .silu
  }

  /// Whether layer by layer attention is limited to the sliding window (`layer_types`); nil if the field is left out.
  mutating func slidingLayers(count: Int) throws(JSONFieldError) -> [Bool]? {
    guard let types = try optionalStrings("layer_types") else { return nil }
    guard types.count == count, types.allSatisfy({ ["sliding_attention", "full_attention"].contains($0) }) else {
      throw error(
        .outOfRange, "layer_types", expected: "\"full_attention\" or \"sliding_attention\" for each of \(count) layers")
    }
    return types.map { $0 == "sliding_attention" }
  }
}
