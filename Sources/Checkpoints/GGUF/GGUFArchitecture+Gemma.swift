// The text models of Gemma 3 (Gemma3ForCausalLM): four norms a layer, norms of q and k, and most layers attend to a
// sliding window with a rotary embedding of its own.

import JSON
import OrderedCollections

extension GGUFArchitecture {
  static let gemma3 = GGUFArchitecture(
    name: "gemma3", title: "Gemma 3", outside: decoderOutside, layers: "model.layers.",
    inside: decoderProjections + queryKeyNorms + [
      "attn_norm.weight": "input_layernorm.weight",
      "post_attention_norm.weight": "post_attention_layernorm.weight",
      "ffn_norm.weight": "pre_feedforward_layernorm.weight",
      "post_ffw_norm.weight": "post_feedforward_layernorm.weight",
    ],
    understood: decoderKeys.union([
      "attention.sliding_window", "attention.sliding_window_pattern", "rope.freq_base_swa",
    ])
  ) { fields throws(GGUFFault) in
    try fields.gemma3()
  }
}

extension Checkpoint {
  /// A key of `configuration` that no config.json has: what the arithmetic adds to the weights of the norms. Gemma's
  /// arithmetic is `x * (offset + weight)` with an offset of 1; llama.cpp's converter writes `weight + 1` to GGUF, so
  /// that there the offset is 0. Weights stay as they are stored; an export in Hugging Face layout subtracts the 1
  /// and drops the key.
  package static let normOffsetKey = "espalier_norm_offset"

  /// Whether tensor `name` is the weight of a norm, which `normOffsetKey` is about.
  package static func isNorm(_ name: String) -> Bool { name.hasSuffix("norm.weight") }
}

extension GGUFFields {
  /// Bases of the rotary embedding and the period of the layers, for files that do not say (as llama.cpp has them).
  private static let globalBase = 1e6, localBase = 1e4, period = 6
  /// The one size of Gemma 3 whose attention is scaled by hidden_size / heads instead of the size of a head: 27B.
  private static let layersOf27B = 62

  fileprivate func gemma3() throws(GGUFFault) -> JSONObject {
    var configuration = try decoder(modelClass: "Gemma3ForCausalLM", modelType: "gemma3_text")
    let rope = try rope(defaultBase: Self.globalBase)
    // Without `rope_parameters`: transformers has one of these for each kind of layer and makes them from these fields.
    configuration["rope_theta"] = JSON(rope.base)
    configuration["rope_local_base_freq"] = JSON(try float("rope.freq_base_swa", default: Self.localBase))
    if let scaling = rope.scaling { configuration["rope_scaling"] = .object(scaling) }
    configuration["hidden_activation"] = "gelu_pytorch_tanh"
    configuration["attention_bias"] = false
    let layers = try layers(), hidden = try positive("embedding_length"), heads = try positive("attention.head_count")
    let scalar = try layers == Self.layersOf27B ? hidden / heads : headSize()
    configuration["query_pre_attn_scalar"] = JSON(scalar)

    let window = has("attention.sliding_window") ? try integer("attention.sliding_window") : 0
    guard (0...Int(Int32.max)).contains(window) else {
      throw .metadataValue(key: key("attention.sliding_window"), found: String(window), expected: "0 to \(Int32.max)")
    }
    let period = try positive("attention.sliding_window_pattern", default: Self.period)
    configuration["sliding_window"] = window == 0 ? .null : JSON(window)
    configuration["layer_types"] = JSON(
      (1...layers).map { window == 0 || $0 % period == 0 ? "full_attention" : "sliding_attention" })
    configuration[Checkpoint.normOffsetKey] = 0
    return configuration
  }
}
