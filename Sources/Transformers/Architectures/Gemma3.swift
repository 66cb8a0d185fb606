// Gemma 3, text (Gemma Team 2025): norms before and behind both halves of a block, weights of norms counted from 1,
// normalised query and key heads, a GELU-gated feed-forward network, embeddings scaled by sqrt(hidden size), and local
// layers with a window and a rotary base of their own between the global ones.

import JSON
import Tensors

extension Architecture {
  static let gemma3 = Architecture(
    names: ["gemma3_text"], prefixes: ["model.", "language_model.model.", "model.language_model.", ""],
    embedding: RotaryFamily.embedding, sizes: .rotaryWithLayerTypes
  ) { fields, prefix throws(JSONFieldError) in
    let family = try RotaryFamily(
      &fields, prefix: prefix,
      RotaryFamily.Defaults(headSize: 256, maximumLength: 131_072, tiedEmbeddings: true, kvHeads: 4))
    let rotaries = try Gemma3Rotaries(&fields, family)
    let window = try fields.int("sliding_window", in: Bounds.sizes, default: 4096)
    let scalar = try fields.double("query_pre_attn_scalar", in: 1e-6...1e12, default: 256)
    let bias = try fields.bool("attention_bias", default: false)
    let activation = try fields.activation("hidden_activation", default: "gelu_pytorch_tanh")
    guard try fields.activation("hidden_act", default: "gelu_pytorch_tanh") == activation else {
      throw fields.error(.outOfRange, "hidden_act", expected: "what hidden_activation says, or nothing")
    }
    // GGUF files hold the weights of norms with the 1 added already.
    let offset = Float(try fields.int("espalier_norm_offset", in: 0...1, default: 1))
    try fields.requireFalse("use_bidirectional_attention")
    for name in ["attn_logit_softcapping", "final_logit_softcapping"] where fields.has(name) {
      throw fields.error(.outOfRange, name, expected: "null: soft-capped logits are not supported")
    }
    let sliding = try fields.slidingGemmaLayers(count: family.layers)
    return family.transformer(
      blocks: (0..<family.layers).map { layer in
        let form = AttentionForm(
          shape: family.attention, scale: Float(1 / scalar.squareRoot()), window: sliding[layer] ? window : 0)
        func norm(_ name: String) -> Norm { family.norm("layers.\(layer)." + name, offset: offset) }
        return Block(
          attentionNorm: norm("input_layernorm"),
          attention: family.attention(
            layer: layer, form: form, rotary: sliding[layer] ? 1 : 0, inputBias: bias, outputBias: bias,
            headNorm: offset),
          attentionPostNorm: norm("post_attention_layernorm"), feedForwardNorm: norm("pre_feedforward_layernorm"),
          feedForward: family.feedForward(layer: layer, activation),
          feedForwardPostNorm: norm("post_feedforward_layernorm"))
      },
      rotaries: [rotaries.full, rotaries.sliding], embeddingScale: Float(family.hiddenSize).squareRoot(),
      normOffset: offset)
  }
}

/// The rotary embeddings of global and of local layers.
private struct Gemma3Rotaries {
  let full, sliding: Rotary

  init(_ fields: inout JSONFields, _ family: RotaryFamily) throws(JSONFieldError) {
    let size = family.attention.headSize, length = family.maximumLength
    let localBase = try fields.double("rope_local_base_freq", in: 1...1e12, default: 10_000)
    // transformers 5 has one object for each kind of layer.
    if var parameters = try fields.optionalFields("rope_parameters"), parameters.has("full_attention") {
      full = try Rotary(
        try parameters.fields("full_attention"), headSize: size, maximumLength: length, defaultBase: 1e6)
      sliding = try Rotary(
        try parameters.fields("sliding_attention"), headSize: size, maximumLength: length, defaultBase: localBase)
    } else {
      full = try family.rotary(&fields, defaultBase: 1e6)
      sliding = Rotary(headSize: size, base: localBase)
    }
  }
}

extension JSONFields {
  /// Which layers are local: `layer_types`, or all but every `sliding_window_pattern`th.
  fileprivate mutating func slidingGemmaLayers(count: Int) throws(JSONFieldError) -> [Bool] {
    let old = try int("sliding_window_pattern", in: 1...4096, default: 6)
    let pattern = try int("_sliding_window_pattern", in: 1...4096, default: old)
    return try slidingLayers(count: count) ?? (0..<count).map { ($0 + 1) % pattern != 0 }
  }
}
