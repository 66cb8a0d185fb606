// Under which names the configurations of an architecture keep the sizes that cutting units out changes.

/// Names of fields of config.json; nil where an architecture has none.
struct SizeFields: Sendable {
  let layers, hiddenSize, heads, neurons: String
  var keyValueHeads: String?
  var headSize: String?
  var epsilon: String?
  /// Which layers have a window, one by one.
  var layerTypes: String?
  /// Whether transformers insists that the hidden size is a multiple of the number of heads, whatever a head's size.
  var headsDivideHiddenSize = false

  static let llama = {
    var fields = rotary
    fields.headsDivideHiddenSize = true
    return fields
  }()
  static let rotary = SizeFields(
    layers: "num_hidden_layers", hiddenSize: "hidden_size", heads: "num_attention_heads",
    neurons: "intermediate_size", keyValueHeads: "num_key_value_heads", headSize: "head_dim", epsilon: "rms_norm_eps")
  static let rotaryWithLayerTypes = SizeFields(
    layers: "num_hidden_layers", hiddenSize: "hidden_size", heads: "num_attention_heads",
    neurons: "intermediate_size", keyValueHeads: "num_key_value_heads", headSize: "head_dim", epsilon: "rms_norm_eps",
    layerTypes: "layer_types")
  static let gpt2 = SizeFields(layers: "n_layer", hiddenSize: "n_embd", heads: "n_head", neurons: "n_inner")
  static let opt = SizeFields(
    layers: "num_hidden_layers", hiddenSize: "hidden_size", heads: "num_attention_heads", neurons: "ffn_dim")
}
