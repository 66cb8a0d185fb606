// Qwen3 (Yang et al. 2025): Qwen2 without biases, with query and key heads normalised before the rotation.

import JSON
import Tensors

extension Architecture {
  static let qwen3 = Architecture(
    names: ["qwen3"], prefixes: ["model.", ""], embedding: RotaryFamily.embedding, sizes: .rotaryWithLayerTypes
  ) { fields, prefix throws(JSONFieldError) in
    let family = try RotaryFamily(
      &fields, prefix: prefix, RotaryFamily.Defaults(headSize: 128, maximumLength: 32_768, kvHeads: 32))
    let rotary = try family.rotary(&fields)
    let windows = try QwenWindows(&fields, layers: family.layers)
    let bias = try fields.bool("attention_bias", default: false)
    let activation = try fields.activation("hidden_act", default: "silu")
    return family.transformer(
      blocks: (0..<family.layers).map { layer in
        let form = AttentionForm(shape: family.attention, window: windows[layer])
        return family.block(
          layer: layer,
          family.attention(layer: layer, form: form, inputBias: bias, outputBias: bias, headNorm: 0),
          family.feedForward(layer: layer, activation))
      },
      rotaries: [rotary])
  }
}
