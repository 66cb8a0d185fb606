// The architectures that GGUF files are translated from, one file each (GGUFArchitecture+Llama.swift, ...): how they
// name their tensors and fields, and the names of the transformers class that computes the same.

import JSON

/// One `general.architecture`. Whatever it does not know and what may change the arithmetic is an error: a field or a
/// tensor must not be passed over.
struct GGUFArchitecture: Sendable {
  /// As in `general.architecture`; with a dot, the prefix of its metadata keys.
  let name: String
  /// What messages call models of this architecture.
  let title: String
  /// Hugging Face names of the tensors outside of layers.
  let outside: [String: String]
  /// What stands before the number of a layer in Hugging Face names.
  let layers: String
  /// Hugging Face names, behind the number of a layer, of the tensors that are `blk.N.` and the key here.
  let inside: [String: String]
  /// Tensors of a layer whose rows are stored as `RowOrder.headInterleaved`, and by whose heads they are counted.
  var interleaved: [String: Heads] = [:]
  /// Tensors that the configuration speaks for.
  var translated: Set<String> = []
  /// Metadata keys behind the prefix that are translated or, as counts and hints, change nothing.
  let understood: Set<String>
  /// The metadata under the names of config.json.
  let configuration: @Sendable (GGUFFields) throws(GGUFFault) -> JSONObject

  enum Heads { case query, keyValue }

  static let all: [GGUFArchitecture] = [.llama, .qwen2, .qwen3, .gemma3, .gpt2]
}

extension GGUFArchitecture {
  /// A tensor by its Hugging Face name.
  struct Translation: Equatable {
    let name: String
    var heads: Heads?
  }

  /// The name of tensor `stored`, or nil if it is no part of these models: experts, adapters and whatever else would
  /// change the arithmetic.
  func translation(of stored: String) -> Translation? {
    if let name = outside[stored] { return Translation(name: name) }
    let parts = stored.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0] == "blk", let layer = Int(parts[1]), layer >= 0, String(layer) == parts[1],
      let name = inside[String(parts[2])]
    else { return nil }
    return Translation(name: "\(layers)\(layer).\(name)", heads: interleaved[String(parts[2])])
  }
}

/// Tables that several architectures share.
extension GGUFArchitecture {
  static let decoderOutside = [
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
  ]

  static let decoderProjections = [
    "attn_q.weight": "self_attn.q_proj.weight",
    "attn_k.weight": "self_attn.k_proj.weight",
    "attn_v.weight": "self_attn.v_proj.weight",
    "attn_output.weight": "self_attn.o_proj.weight",
    "ffn_gate.weight": "mlp.gate_proj.weight",
    "ffn_up.weight": "mlp.up_proj.weight",
    "ffn_down.weight": "mlp.down_proj.weight",
  ]

  static let decoderNorms = [
    "attn_norm.weight": "input_layernorm.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
  ]

  static let queryKeyNorms = [
    "attn_q_norm.weight": "self_attn.q_norm.weight",
    "attn_k_norm.weight": "self_attn.k_norm.weight",
  ]

  static let decoderKeys: Set<String> = [
    "block_count", "context_length", "embedding_length", "feed_forward_length", "vocab_size", "attention.head_count",
    "attention.head_count_kv", "attention.key_length", "attention.value_length", "attention.layer_norm_rms_epsilon",
    "rope.freq_base", "rope.dimension_count",
  ]
}

extension [String: String] {
  /// Both tables; they share no key.
  static func + (a: Self, b: Self) -> Self { a.merging(b) { first, _ in first } }
}
