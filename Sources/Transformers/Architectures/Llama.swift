// Llama (Touvron et al. 2023): pre-norm blocks of rotary grouped-query attention and a SiLU-gated feed-forward network.
// Serves Llama 1, 2, 3, 3.1 and 3.2, SmolLM2, TinyLlama and whatever else config.json calls `llama`.

import JSON
import Tensors

extension Architecture {
  static let llama = Architecture(
    names: ["llama"], prefixes: ["model.", ""], embedding: RotaryFamily.embedding, sizes: .llama
  ) { fields, prefix throws(JSONFieldError) in
    let family = try RotaryFamily(&fields, prefix: prefix)
    let rotary = try family.rotary(&fields)
    let attentionBias = try fields.bool("attention_bias", default: false)
    let mlpBias = try fields.bool("mlp_bias", default: false)
    let activation = try fields.activation("hidden_act", default: "silu")
    let form = AttentionForm(shape: family.attention)
    return family.transformer(
      blocks: (0..<family.layers).map { layer in
        family.block(
          layer: layer,
          family.attention(layer: layer, form: form, inputBias: attentionBias, outputBias: attentionBias),
          family.feedForward(layer: layer, activation, bias: mlpBias))
      },
      rotaries: [rotary])
  }
}
