// The natural order of a model's tensors: embeddings, layers from the first to the last, final norm, head; in a layer
// the order in which the data flows, each bias behind its weight. Unknown names come last in their group, by their
// bytes.

import OrderedCollections

enum TensorOrder {
  /// `tensors` in natural order.
  static func sorted<T>(_ tensors: OrderedDictionary<String, T>) -> OrderedDictionary<String, T> {
    let keyed = tensors.map { (key: Key($0.key), name: $0.key, value: $0.value) }
    let ordered = keyed.sorted { $0.key.precedes($1.key) }
    return OrderedDictionary(uniqueKeysWithValues: ordered.map { ($0.name, $0.value) })
  }

  private struct Key {
    /// 0 before the layers, 1 in them, 2 behind them.
    let group: Int
    let layer: Int
    let rank: Int
    /// The name without its last part, and whether that is "bias".
    let module: String
    let isBias: Bool
    let name: String

    init(_ name: String) {
      self.name = name
      var parts = name.split(separator: ".")
      isBias = parts.last == "bias"
      if parts.count > 1 { parts.removeLast() }
      module = parts.joined(separator: ".")
      if let at = parts.firstIndex(where: { ["layers", "blk", "h"].contains($0) }), at + 1 < parts.count,
        let layer = Int(parts[at + 1])
      {
        group = 1
        self.layer = layer
        rank = TensorOrder.inLayerRank[parts[(at + 2)...].joined(separator: ".")] ?? TensorOrder.inLayer.count
        return
      }
      layer = 0
      let last = String(parts.last ?? "")
      if let place = TensorOrder.before.firstIndex(of: last) {
        (group, rank) = (0, place)
      } else if last.contains("embd") || last.contains("embed") {
        (group, rank) = (0, TensorOrder.before.count)
      } else {
        (group, rank) = (2, TensorOrder.behind.firstIndex(of: last) ?? TensorOrder.behind.count)
      }
    }

    func precedes(_ other: Key) -> Bool {
      if (group, layer, rank) != (other.group, other.layer, other.rank) {
        return (group, layer, rank) < (other.group, other.layer, other.rank)
      }
      if module != other.module { return module.utf8.lexicographicallyPrecedes(other.module.utf8) }
      if isBias != other.isBias { return other.isBias }
      return name.utf8.lexicographicallyPrecedes(other.name.utf8)
    }
  }

  /// Embeddings: the tokens', the positions', OPT's projection of both.
  private static let before = [
    "embed_tokens", "wte", "token_embd", "embed_positions", "wpe", "position_embd", "project_in",
  ]

  /// The final norm by its several names, OPT's projection, the head.
  private static let behind = ["norm", "final_layer_norm", "ln_f", "output_norm", "project_out", "lm_head", "output"]

  /// The modules of a layer. No family has modules of two that would be out of order here.
  private static let inLayer = [
    // Llama, Mistral, Qwen2, Qwen3, Gemma 3
    "input_layernorm", "self_attn_layer_norm",
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.q_norm", "self_attn.k_norm",
    "self_attn.o_proj", "post_attention_layernorm", "pre_feedforward_layernorm",
    "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "post_feedforward_layernorm",
    // OPT, which begins with the second and the projections above
    "self_attn.out_proj", "final_layer_norm", "fc1", "fc2",
    // GPT-2
    "ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj",
  ]
  private static let inLayerRank = Dictionary(uniqueKeysWithValues: inLayer.enumerated().map { ($1, $0) })
}
