// How GGUF names the tensors of Llama models, and the Hugging Face names that Espalier uses for them.

/// The two names of the tensors of architecture `llama`.
enum GGUFNames {
  /// A tensor by its Hugging Face name.
  struct Translation: Equatable {
    let name: String
    /// Whether the rows are stored as `RowOrder.headInterleaved`, and by whose heads they are counted.
    var heads: Heads?
    enum Heads { case query, keyValue }
  }

  private static let outside = [
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
  ]

  private static let inside: [String: (name: String, heads: Translation.Heads?)] = [
    "attn_norm.weight": ("input_layernorm.weight", nil),
    "attn_q.weight": ("self_attn.q_proj.weight", .query),
    "attn_k.weight": ("self_attn.k_proj.weight", .keyValue),
    "attn_v.weight": ("self_attn.v_proj.weight", nil),
    "attn_output.weight": ("self_attn.o_proj.weight", nil),
    "ffn_norm.weight": ("post_attention_layernorm.weight", nil),
    "ffn_gate.weight": ("mlp.gate_proj.weight", nil),
    "ffn_up.weight": ("mlp.up_proj.weight", nil),
    "ffn_down.weight": ("mlp.down_proj.weight", nil),
  ]

  /// The name of tensor `stored` of a Llama model, or nil if it is not one of those: biases, `rope_freqs.weight`,
  /// experts and whatever else would change the arithmetic.
  static func llama(_ stored: String) -> Translation? {
    if let name = outside[stored] { return Translation(name: name) }
    let parts = stored.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0] == "blk", let layer = Int(parts[1]), layer >= 0, String(layer) == parts[1],
      let inside = inside[String(parts[2])]
    else { return nil }
    return Translation(name: "model.layers.\(layer).\(inside.name)", heads: inside.heads)
  }
}
