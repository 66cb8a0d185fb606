// Configurations: what is read from config.json, and what each wrong one is told.

import JSON
import OrderedCollections
import Tensors
import TestSupport
import Testing
@testable import Transformers

@Suite struct ConfigurationTests {
  static let valid: JSONObject = [
    "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 24, "intermediate_size": 56,
    "num_attention_heads": 3, "num_key_value_heads": 1, "vocab_size": 67, "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5, "tie_word_embeddings": true,
  ]

  static func changed(_ changes: JSONObject) -> JSONObject {
    var configuration = valid
    for (key, value) in changes { configuration[key] = value }
    return configuration
  }

  static func llama(_ changes: JSONObject) throws -> Transformer {
    try makeTransformer(configuration: removing(changes))
  }

  @Test func readsEveryField() throws {
    let llama = try Self.llama(["rope_theta": 500_000])
    #expect(llama.shape.layers == 2 && llama.shape.hiddenSize == 24)
    #expect(llama.shape.vocabularySize == 67 && llama.shape.maximumLength == 64)
    let attention = llama.blocks[1].attention.form.shape
    #expect(attention == AttentionShape(heads: 3, kvHeads: 1, headSize: 8))
    #expect(llama.blocks[1].feedForward.neurons == 56 && llama.blocks[1].feedForward.activation == .silu)
    #expect(llama.norm.epsilon == 1e-5 && llama.rotaries == [Rotary(headSize: 8, base: 500_000)])
    #expect(llama.head.weight == "model.embed_tokens.weight")
  }

  @Test func defaultsAreThoseOfTransformers() throws {
    let llama = try Self.llama([
      "num_key_value_heads": nil, "max_position_embeddings": nil, "rms_norm_eps": nil, "tie_word_embeddings": nil,
    ])
    #expect(llama.blocks[0].attention.form.shape.kvHeads == 3 && llama.shape.maximumLength == 2048)
    #expect(llama.norm.epsilon == 1e-6 && llama.rotaries[0].base == 10_000 && llama.head.weight == "lm_head.weight")
  }

  /// Spellings that mean what the plain one means.
  @Test(arguments: [
    ["rope_scaling": nil], ["rope_scaling": ["rope_type": "default"]], ["rope_scaling": ["type": "default"]],
    ["rope_parameters": ["rope_type": "default", "rope_theta": 10_000.0]], ["hidden_act": "silu"],
    ["attention_bias": false, "mlp_bias": false], ["head_dim": 8], ["head_dim": nil], ["partial_rotary_factor": 1.0],
    ["rope_theta": nil], ["torch_dtype": "bfloat16", "_name_or_path": "x", "bos_token_id": 1, "quantization_config": nil],
  ] as [JSONObject])
  func acceptsEquivalents(changes: JSONObject) throws {
    #expect(try Self.llama(changes) == Self.llama([:]))
  }

  @Test func newerSpellingOfTheRotaryBaseWins() throws {
    let changes: JSONObject = ["rope_theta": 3, "rope_parameters": ["rope_type": "default", "rope_theta": 777]]
    #expect(try Self.llama(changes).rotaries[0].base == 777)
  }

  /// Each wrong configuration with a word or two that its message must have: the field, what was given, what to give.
  @Test(arguments: [
    (["num_hidden_layers": nil], ["config.num_hidden_layers", "missing"]),
    (["hidden_size": nil], ["config.hidden_size", "missing"]),
    (["vocab_size": nil], ["config.vocab_size", "missing"]),
    (["num_hidden_layers": 0], ["config.num_hidden_layers", "0", "1"]),
    (["hidden_size": -24], ["config.hidden_size", "-24"]),
    (["intermediate_size": 1e10], ["config.intermediate_size"]),
    (["intermediate_size": 10_000_000_000], ["config.intermediate_size", "10000000000"]),
    (["vocab_size": "67"], ["config.vocab_size", "67"]),
    (["num_attention_heads": 2.5], ["config.num_attention_heads", "2.5"]),
    (["num_key_value_heads": 2], ["config.num_key_value_heads", "2", "divisor", "3"]),
    (["num_key_value_heads": 0], ["config.num_key_value_heads"]),
    (["head_dim": 7], ["config.head_dim", "7", "even"]),
    (["head_dim": 0], ["config.head_dim"]),
    (["hidden_size": 21], ["config.head_dim", "even"]),
    (["rms_norm_eps": -1], ["config.rms_norm_eps", "-1"]),
    (["rope_theta": 0], ["config.rope_theta", "0"]),
    (["rope_parameters": ["rope_theta": "x"]], ["config.rope_parameters.rope_theta"]),
    (["tie_word_embeddings": 1], ["config.tie_word_embeddings", "1"]),
    (["hidden_act": "mish"], ["config.hidden_act", "mish", "silu"]),
    (["quantization_config": ["bits": 4]], ["config.quantization_config", "arithmetic"]),
    (["some_future_field": 1], ["config.some_future_field", "arithmetic"]),
    (["qk_norm": false], ["config.qk_norm"]),
    (["output_multiplier": 2], ["config.output_multiplier", "arithmetic"]),
    (["_logit_scale": 2], ["config._logit_scale", "arithmetic"]),
    (["partial_rotary_factor": 0.5], ["config.partial_rotary_factor", "0.5"]),
    (["rope_scaling": ["rope_type": "llama3", "factor": 8]], ["config.rope_scaling.low_freq_factor", "missing"]),
    (
      ["rope_scaling": ["rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4]],
      ["config.rope_scaling.high_freq_factor", "low_freq_factor"]
    ),
    (["rope_scaling": ["type": "linear"]], ["config.rope_scaling.factor", "missing"]),
    (["rope_scaling": ["type": "linear", "factor": 2, "beta_fast": 1]], ["config.rope_scaling.beta_fast", "linear"]),
    (["rope_parameters": ["rope_type": "yarn"]], ["config.rope_parameters.rope_type", "yarn", "default"]),
    (["rope_scaling": 3], ["config.rope_scaling", "3"]),
  ] as [(JSONObject, [String])])
  func wrongConfigurations(changes: JSONObject, words: [String]) throws {
    let error = try #require(throws: TransformerError.self) {
      _ = try makeTransformer(configuration: Self.removing(changes))
    }
    #expect(error.kind == "configurationInvalid")
    for word in words { #expect(error.message.contains(word), "\(error.message)") }
  }

  /// A change to null removes the field.
  static func removing(_ changes: JSONObject) -> JSONObject {
    var configuration = changed(changes)
    for (key, value) in changes where value.isNull { configuration[key] = nil }
    return configuration
  }

  @Test func unknownArchitectureListsTheKnown() throws {
    let error = try #require(throws: TransformerError.self) {
      _ = try makeTransformer(configuration: Self.changed(["model_type": "mamba"]))
    }
    #expect(error == .unknownArchitecture(name: "mamba", known: knownArchitectures))
    #expect(error.kind == "unknownArchitecture")
    #expect(error.message.contains("mamba") && error.message.contains("llama"))
    #expect(knownArchitectures == ["llama", "mistral", "qwen2", "qwen3", "gemma3_text", "gpt2", "opt"])
  }

  @Test(arguments: [nil, 3, "" as JSON] as [JSON])
  func missingArchitecture(value: JSON) throws {
    let error = try #require(throws: TransformerError.self) {
      _ = try makeTransformer(configuration: Self.removing(["model_type": value]))
    }
    #expect(["configurationInvalid", "unknownArchitecture"].contains(error.kind))
    #expect(error.message.contains("model_type") || error.kind == "unknownArchitecture")
  }

  /// Sizes at their bounds make no sum or product overflow.
  @Test func largestSizesDoNotTrap() throws {
    let largest: JSON = .integer(1 << 24)
    let model = try makeTransformer(
      configuration: Self.changed([
        "num_hidden_layers": 3, "hidden_size": largest, "intermediate_size": largest, "num_attention_heads": largest,
        "num_key_value_heads": 1, "head_dim": largest, "vocab_size": largest, "tie_word_embeddings": false,
      ]))
    #expect(model.expectedTensors.count == 3 + 3 * 9)
    #expect(model.activationBytesPerToken > 0)
    #expect(model.unitCounts(layer: 2) == (1 << 24, 1 << 24))
  }
}
