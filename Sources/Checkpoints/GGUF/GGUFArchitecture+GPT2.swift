// GPT-2 (GPT2LMHeadModel): learnt positions, layer norms and biases everywhere. GGUF stores the projections as rows of
// outputs, which is how Espalier sees those of every model (Hugging Face's files have them transposed).

import JSON
import OrderedCollections

extension GGUFArchitecture {
  static let gpt2 = GGUFArchitecture(
    name: "gpt2", title: "GPT-2",
    outside: [
      "token_embd.weight": "transformer.wte.weight",
      "position_embd.weight": "transformer.wpe.weight",
      "output_norm.weight": "transformer.ln_f.weight",
      "output_norm.bias": "transformer.ln_f.bias",
      "output.weight": "lm_head.weight",
    ],
    layers: "transformer.h.",
    inside: [
      "attn_norm.weight": "ln_1.weight", "attn_norm.bias": "ln_1.bias",
      "attn_qkv.weight": "attn.c_attn.weight", "attn_qkv.bias": "attn.c_attn.bias",
      "attn_output.weight": "attn.c_proj.weight", "attn_output.bias": "attn.c_proj.bias",
      "ffn_norm.weight": "ln_2.weight", "ffn_norm.bias": "ln_2.bias",
      "ffn_up.weight": "mlp.c_fc.weight", "ffn_up.bias": "mlp.c_fc.bias",
      "ffn_down.weight": "mlp.c_proj.weight", "ffn_down.bias": "mlp.c_proj.bias",
    ],
    understood: [
      "block_count", "context_length", "embedding_length", "feed_forward_length", "vocab_size", "attention.head_count",
      "attention.layer_norm_epsilon",
    ]
  ) { fields throws(GGUFFault) in
    [
      "architectures": ["GPT2LMHeadModel"],
      "model_type": "gpt2",
      "n_embd": JSON(try fields.positive("embedding_length")),
      "n_layer": JSON(try fields.layers()),
      "n_head": JSON(try fields.heads()),
      "n_inner": JSON(try fields.positive("feed_forward_length")),
      "n_positions": JSON(try fields.positive("context_length")),
      "vocab_size": JSON(try fields.vocabularySize()),
      "activation_function": "gelu_new",
      "layer_norm_epsilon": JSON(try fields.float("attention.layer_norm_epsilon")),
      "tie_word_embeddings": JSON(fields.file.tensors["output.weight"] == nil),
    ]
  }
}
