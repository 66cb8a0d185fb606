// Llama 1 to 3, Mistral, SmolLM2 and their kin, which llama.cpp all calls `llama`: LlamaForCausalLM.

import JSON
import OrderedCollections

extension GGUFArchitecture {
  /// The only one whose rotary embedding turns neighbours, for which the rows of q and k are interleaved. Llama 3's
  /// scaling of it is a tensor of factors (GGUFRope.swift).
  static let llama = GGUFArchitecture(
    name: "llama", title: "Llama", outside: decoderOutside, layers: "model.layers.",
    inside: decoderProjections + decoderNorms,
    interleaved: ["attn_q.weight": .query, "attn_k.weight": .keyValue],
    translated: [GGUFRope.factorTensor], understood: decoderKeys
  ) { fields throws(GGUFFault) in
    var configuration = try fields.decoder(modelClass: "LlamaForCausalLM", modelType: "llama")
    try configuration.add(fields.rope(factors: true))
    configuration["hidden_act"] = "silu"
    configuration["attention_bias"] = false
    configuration["mlp_bias"] = false
    return configuration
  }
}
