// Qwen2 and Qwen2.5 (Qwen2ForCausalLM: q, k and v have biases), and Qwen3 (Qwen3ForCausalLM: q and k have norms).

import JSON
import OrderedCollections

extension GGUFArchitecture {
  static let qwen2 = GGUFArchitecture(
    name: "qwen2", title: "Qwen2", outside: decoderOutside, layers: "model.layers.",
    inside: decoderProjections + decoderNorms + [
      "attn_q.bias": "self_attn.q_proj.bias",
      "attn_k.bias": "self_attn.k_proj.bias",
      "attn_v.bias": "self_attn.v_proj.bias",
    ],
    understood: decoderKeys
  ) { fields throws(GGUFFault) in
    try fields.qwen(modelClass: "Qwen2ForCausalLM", modelType: "qwen2")
  }

  static let qwen3 = GGUFArchitecture(
    name: "qwen3", title: "Qwen3", outside: decoderOutside, layers: "model.layers.",
    inside: decoderProjections + decoderNorms + queryKeyNorms, understood: decoderKeys
  ) { fields throws(GGUFFault) in
    var configuration = try fields.qwen(modelClass: "Qwen3ForCausalLM", modelType: "qwen3")
    configuration["attention_bias"] = false
    return configuration
  }
}

extension GGUFFields {
  fileprivate func qwen(modelClass: String, modelType: String) throws(GGUFFault) -> JSONObject {
    var configuration = try decoder(modelClass: modelClass, modelType: modelType)
    try configuration.add(rope())
    configuration["hidden_act"] = "silu"
    configuration["use_sliding_window"] = false
    return configuration
  }
}
