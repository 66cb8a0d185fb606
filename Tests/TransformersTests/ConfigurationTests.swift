// Configurations: what is read from config.json, and what each wrong one is told.

import JSON
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers

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

  @Test func readsEveryField() throws {
    let llama = try LlamaConfiguration(Self.changed(["rope_theta": 500_000]))
    #expect(llama.layers == 2 && llama.hiddenSize == 24 && llama.intermediateSize == 56)
    #expect(llama.attention.heads == 3 && llama.attention.kvHeads == 1 && llama.attention.headSize == 8)
    #expect(llama.vocabularySize == 67 && llama.maximumLength == 64)
    #expect(llama.rmsNormEps == 1e-5 && llama.ropeTheta == 500_000 && llama.tiedEmbeddings)
  }

  @Test func defaultsAreThoseOfTransformers() throws {
    var configuration = Self.valid
    for key in ["num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "tie_word_embeddings"] {
      configuration[key] = nil
    }
    let llama = try LlamaConfiguration(configuration)
    #expect(llama.attention.kvHeads == 3 && llama.maximumLength == 2048 && llama.rmsNormEps == 1e-6)
    #expect(llama.ropeTheta == 10_000 && !llama.tiedEmbeddings)
  }

  /// Spellings that mean what the plain one means.
  @Test(arguments: [
    ["rope_scaling": nil], ["rope_scaling": ["rope_type": "default"]], ["rope_scaling": ["type": "default"]],
    ["rope_parameters": ["rope_type": "default", "rope_theta": 10_000.0]], ["hidden_act": "silu"],
    ["attention_bias": false, "mlp_bias": false], ["head_dim": 8], ["head_dim": nil], ["partial_rotary_factor": 1.0],
    ["rope_theta": nil], ["torch_dtype": "bfloat16", "some_future_field": [1, 2]], ["num_key_value_heads": 3],
  ] as [JSONObject])
  func acceptsEquivalents(changes: JSONObject) throws {
    let llama = try LlamaConfiguration(Self.changed(changes))
    #expect(llama.ropeTheta == 10_000 && llama.attention.headSize == 8)
  }

  @Test func newerSpellingOfTheRotaryBaseWins() throws {
    let changes: JSONObject = ["rope_theta": 3, "rope_parameters": ["rope_type": "default", "rope_theta": 777]]
    #expect(try LlamaConfiguration(Self.changed(changes)).ropeTheta == 777)
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
    (["attention_bias": true], ["config.attention_bias", "true", "bias"]),
    (["mlp_bias": true], ["config.mlp_bias", "true", "bias"]),
    (["hidden_act": "gelu"], ["config.hidden_act", "gelu", "silu"]),
    (["partial_rotary_factor": 0.5], ["config.partial_rotary_factor", "0.5"]),
    (["rope_scaling": ["rope_type": "llama3", "factor": 8]], ["config.rope_scaling.rope_type", "llama3", "default"]),
    (["rope_scaling": ["type": "linear", "factor": 2]], ["config.rope_scaling.type", "linear", "default"]),
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
    #expect(error == .unknownArchitecture(name: "mamba", known: ["llama"]))
    #expect(error.kind == "unknownArchitecture")
    #expect(error.message.contains("mamba") && error.message.contains("llama"))
    #expect(knownArchitectures == ["llama"])
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
