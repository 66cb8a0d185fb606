// The natural order of a model's tensors: embedding, layers from the first to the last, final norm, head; in a layer
// the order in which the data flows. Unknown names come last in their group, by their bytes.

import OrderedCollections

enum TensorOrder {
  /// `tensors` in natural order.
  static func sorted<T>(_ tensors: OrderedDictionary<String, T>) -> OrderedDictionary<String, T> {
    let keyed = tensors.map { (key: Key($0.key), name: $0.key, value: $0.value) }
    let ordered = keyed.sorted { $0.key.precedes($1.key) }
    return OrderedDictionary(uniqueKeysWithValues: ordered.map { ($0.name, $0.value) })
  }

  private struct Key {
    let group: Int
    let layer: Int
    let rank: Int
    let name: String

    init(_ name: String) {
      self.name = name
      let parts = name.split(separator: ".")
      if let at = parts.firstIndex(where: { ["layers", "blk", "h"].contains($0) }), at + 1 < parts.count,
        let layer = Int(parts[at + 1])
      {
        group = 1
        self.layer = layer
        let rest = parts[(at + 2)...].joined(separator: ".")
        rank = TensorOrder.inLayer.firstIndex { rest.hasPrefix($0) } ?? TensorOrder.inLayer.count
        return
      }
      layer = 0
      rank = 0
      if name.contains("embd") || name.contains("embed") {
        group = 0
      } else if name.contains("norm") {
        group = 2
      } else {
        group = 3
      }
    }

    func precedes(_ other: Key) -> Bool {
      if (group, layer, rank) != (other.group, other.layer, other.rank) {
        return (group, layer, rank) < (other.group, other.layer, other.rank)
      }
      return name.utf8.lexicographicallyPrecedes(other.name.utf8)
    }
  }

  private static let inLayer = [
    "input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
  ]
}
