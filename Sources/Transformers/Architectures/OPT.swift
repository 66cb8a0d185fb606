// OPT (Zhang et al. 2022): learned positions from the third row of their table on, layer norms before attention and
// feed-forward network, biases everywhere, ReLU.

import JSON
import Tensors

extension Architecture {
  static let opt = Architecture(
    names: ["opt"], prefixes: ["model.decoder.", "decoder."], embedding: "embed_tokens.weight", sizes: .opt
  ) { fields, prefix throws(JSONFieldError) in
    let V = try fields.int("vocab_size", in: Bounds.sizes, default: 50_272)
    let positions = try fields.int("max_position_embeddings", in: Bounds.sizes, default: 2048)
    let C = try fields.int("hidden_size", in: Bounds.sizes, default: 768)
    let layers = try fields.int("num_hidden_layers", in: Bounds.layers, default: 12)
    let heads = try fields.int("num_attention_heads", in: Bounds.sizes, default: 12)
    guard C % heads == 0 else {
      throw fields.error(.outOfRange, "num_attention_heads", expected: "a divisor of hidden_size, \(C)")
    }
    let F = try fields.int("ffn_dim", in: Bounds.sizes, default: 3072)
    let activation = try fields.activation("activation_function", default: "relu")
    let isTied = try fields.bool("tie_word_embeddings", default: true)
    let hasBias = try fields.bool("enable_bias", default: true)
    for (name, reason) in [
      ("do_layer_norm_before", "norms behind attention (OPT-350m)"),
      ("layer_norm_elementwise_affine", "norms without weights"),
    ] where try !fields.bool(name, default: true) {
      throw fields.error(.outOfRange, name, expected: "true: \(reason) are not supported")
    }
    guard try fields.int("word_embed_proj_dim", in: Bounds.sizes, default: C) == C else {
      throw fields.error(
        .outOfRange, "word_embed_proj_dim", expected: "hidden_size, \(C): projected embeddings are not supported")
    }
    try fields.requireFalse("_remove_final_layer_norm")

    func linear(_ name: String, _ outputs: Int, _ inputs: Int) -> Linear {
      Linear(
        weight: prefix + name + ".weight", bias: hasBias ? prefix + name + ".bias" : nil, outputs: outputs,
        inputs: inputs)
    }
    func norm(_ name: String) -> Norm {
      Norm(kind: .layer, epsilon: 1e-5, channels: C, weight: prefix + name + ".weight", bias: prefix + name + ".bias")
    }
    let form = AttentionForm(shape: AttentionShape(heads: heads, kvHeads: heads, headSize: C / heads))
    let embedding = prefix + "embed_tokens.weight"
    return Transformer(
      shape: ModelShape(layers: layers, hiddenSize: C, vocabularySize: V, maximumLength: positions),
      embedding: Embedding(
        tokens: embedding,
        positions: Embedding.Positions(tensor: prefix + "embed_positions.weight", rows: positions + 2, offset: 2)),
      rotaries: [],
      blocks: (0..<layers).map { layer in
        let name = "layers.\(layer)."
        return Block(
          attentionNorm: norm(name + "self_attn_layer_norm"),
          attention: Attention(
            form: form, inputs: ["q_proj", "k_proj", "v_proj"].map { linear(name + "self_attn." + $0, C, C) },
            output: linear(name + "self_attn.out_proj", C, C)),
          feedForwardNorm: norm(name + "final_layer_norm"),
          feedForward: FeedForward(
            up: linear(name + "fc1", F, C), down: linear(name + "fc2", C, F), activation: activation))
      },
      norm: norm("final_layer_norm"),
      head: Linear(weight: isTied ? embedding : "lm_head.weight", outputs: V, inputs: C),
      unused: isTied ? ["lm_head.weight"] : [])
  }
}
