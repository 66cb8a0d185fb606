// Mistral 7B (Jiang et al. 2023): Llama with attention limited to a sliding window, if `sliding_window` says so.

import JSON
import Tensors

extension Architecture {
  static let mistral = Architecture(
    names: ["mistral"], prefixes: ["model.", ""], embedding: RotaryFamily.embedding
  ) { fields, prefix throws(JSONFieldError) in
    let family = try RotaryFamily(
      &fields, prefix: prefix, RotaryFamily.Defaults(maximumLength: 131_072, kvHeads: 8))
    let rotary = try family.rotary(&fields)
    let window = try fields.optionalInt("sliding_window", in: Bounds.sizes) ?? 0
    let activation = try fields.activation("hidden_act", default: "silu")
    let form = AttentionForm(shape: family.attention, window: window)
    return family.transformer(
      blocks: (0..<family.layers).map { layer in
        family.block(
          layer: layer, family.attention(layer: layer, form: form), family.feedForward(layer: layer, activation))
      },
      rotaries: [rotary])
  }
}
