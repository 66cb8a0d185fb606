// Qwen2 and Qwen2.5 (Yang et al. 2024): Llama with biases on queries, keys and values, and sliding windows in the later
// layers where `use_sliding_window` says so.

import JSON
import Tensors

extension Architecture {
  static let qwen2 = Architecture(
    names: ["qwen2"], prefixes: ["model.", ""], embedding: RotaryFamily.embedding, sizes: .rotaryWithLayerTypes
  ) { fields, prefix throws(JSONFieldError) in
    let family = try RotaryFamily(
      &fields, prefix: prefix, RotaryFamily.Defaults(maximumLength: 32_768, kvHeads: 32))
    let rotary = try family.rotary(&fields)
    let windows = try QwenWindows(&fields, layers: family.layers)
    let activation = try fields.activation("hidden_act", default: "silu")
    try fields.requireFalse("use_mrope")
    return family.transformer(
      blocks: (0..<family.layers).map { layer in
        let form = AttentionForm(shape: family.attention, window: windows[layer])
        return family.block(
          layer: layer, family.attention(layer: layer, form: form, inputBias: true),
          family.feedForward(layer: layer, activation))
      },
      rotaries: [rotary])
  }
}

/// The sliding window of each layer of a Qwen model; 0 for none.
struct QwenWindows {
  private let windows: [Int]

  init(_ fields: inout JSONFields, layers: Int) throws(JSONFieldError) {
    let isUsed = try fields.bool("use_sliding_window", default: false)
    let window = try fields.optionalInt("sliding_window", in: 0...(1 << 24)) ?? 4096
    let first = try fields.int("max_window_layers", in: 0...(1 << 24), default: 28)
    let sliding = try fields.slidingLayers(count: layers) ?? (0..<layers).map { isUsed && $0 >= first }
    if let layer = sliding.firstIndex(of: true), !isUsed || window == 0 {
      throw fields.error(
        .outOfRange, "layer_types", expected: "no sliding layer (\(layer) is one) without use_sliding_window")
    }
    windows = sliding.map { $0 ? window : 0 }
  }

  subscript(layer: Int) -> Int { windows[layer] }
}

extension JSONFields {
  /// - Throws: `JSONFieldError` if a switch for arithmetic that is not there is on.
  mutating func requireFalse(_ names: String...) throws(JSONFieldError) {
    for name in names where try bool(name, default: false) {
      throw error(.outOfRange, name, expected: "false: what it switches on is not supported in this architecture")
    }
  }
}
