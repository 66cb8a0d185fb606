// GPT-2 (Radford et al. 2019): learned positions, layer norms before attention and feed-forward network, biases
// everywhere, one map for queries, keys and values.

import JSON
import Tensors

extension Architecture {
  static let gpt2 = Architecture(
    names: ["gpt2"], prefixes: ["transformer.", ""], embedding: "wte.weight", sizes: .gpt2
  ) { fields, prefix throws(JSONFieldError) in
    let V = try fields.int("vocab_size", in: Bounds.sizes, default: 50_257)
    let positions = try fields.int("n_positions", in: Bounds.sizes, default: 1024)
    let C = try fields.int("n_embd", in: Bounds.sizes, default: 768)
    let layers = try fields.int("n_layer", in: Bounds.layers, default: 12)
    let heads = try fields.int("n_head", in: Bounds.sizes, default: 12)
    guard C % heads == 0 else {
      throw fields.error(.outOfRange, "n_head", expected: "a divisor of n_embd, \(C)")
    }
    let F = try fields.optionalInt("n_inner", in: Bounds.sizes) ?? 4 * C
    let activation = try fields.activation("activation_function", default: "gelu_new")
    let epsilon = Float(try fields.double("layer_norm_epsilon", in: 0...1, default: 1e-5))
    let isTied = try fields.bool("tie_word_embeddings", default: true)
    let isScaled = try fields.bool("scale_attn_weights", default: true)
    let isScaledByLayer = try fields.bool("scale_attn_by_inverse_layer_idx", default: false)
    _ = try fields.bool("reorder_and_upcast_attn", default: false)  // the order of the same operations

    let shape = AttentionShape(heads: heads, kvHeads: heads, headSize: C / heads)
    func linear(_ name: String, _ outputs: Int, _ inputs: Int) -> Linear {
      Linear(weight: prefix + name + ".weight", bias: prefix + name + ".bias", outputs: outputs, inputs: inputs)
    }
    func norm(_ name: String) -> Norm {
      Norm(
        kind: .layer, epsilon: epsilon, channels: C, weight: prefix + name + ".weight", bias: prefix + name + ".bias")
    }
    let embedding = prefix + "wte.weight"
    return Transformer(
      shape: ModelShape(layers: layers, hiddenSize: C, vocabularySize: V, maximumLength: positions),
      embedding: Embedding(
        tokens: embedding, positions: Embedding.Positions(tensor: prefix + "wpe.weight", rows: positions, offset: 0)),
      rotaries: [],
      blocks: (0..<layers).map { layer in
        let name = "h.\(layer)."
        let scale = (isScaled ? 1 / Float(shape.headSize).squareRoot() : 1) / (isScaledByLayer ? Float(layer + 1) : 1)
        return Block(
          attentionNorm: norm(name + "ln_1"),
          attention: Attention(
            form: AttentionForm(shape: shape, scale: scale), inputs: [linear(name + "attn.c_attn", 3 * C, C)],
            output: linear(name + "attn.c_proj", C, C)),
          feedForwardNorm: norm(name + "ln_2"),
          feedForward: FeedForward(
            up: linear(name + "mlp.c_fc", F, C), down: linear(name + "mlp.c_proj", C, F), activation: activation))
      },
      norm: norm("ln_f"),
      head: Linear(weight: isTied ? embedding : "lm_head.weight", outputs: V, inputs: C),
      unused: [".attn.bias", ".attn.masked_bias"] + (isTied ? ["lm_head.weight"] : []),
      transposedInHuggingFace: ["attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight"])
  }
}
