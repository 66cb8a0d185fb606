// GGUF metadata as the keys of a Hugging Face config.json. Every key under `llama.` is either translated, known to
// change nothing, or an error: a field that changes the arithmetic must not be passed over.

package import JSON
import OrderedCollections
import Tensors

extension GGUFFile {
  /// The model's architecture, `general.architecture`.
  package func architecture() throws(CheckpointError) -> String {
    try fault { file throws(GGUFFault) in try file.string("general.architecture") }
  }

  /// The metadata under the names of config.json. Of architectures other than `llama` only `model_type` is given.
  /// - Throws: `CheckpointError.gguf` for what is missing, of the wrong type, contradictory or not supported.
  package func configuration() throws(CheckpointError) -> JSONObject {
    let architecture = try architecture()
    guard architecture == "llama" else { return ["model_type": JSON(architecture)] }
    return try fault { file throws(GGUFFault) in try file.llamaConfiguration() }
  }

  private func llamaConfiguration() throws(GGUFFault) -> JSONObject {
    try checkLlamaKeys()
    let heads = try positive("llama.attention.head_count")
    let kvHeadsKey = "llama.attention.head_count_kv"
    let kvHeads = metadata[kvHeadsKey] == nil ? heads : try positive(kvHeadsKey)
    let hidden = try positive("llama.embedding_length")
    let headSize = try headSize(hidden: hidden, heads: heads)
    let ropeBase = metadata["llama.rope.freq_base"] == nil ? 10_000 : try float("llama.rope.freq_base")

    var configuration: JSONObject = [
      "architectures": ["LlamaForCausalLM"],
      "model_type": "llama",
      "hidden_size": JSON(hidden),
      "intermediate_size": JSON(try positive("llama.feed_forward_length")),
      "num_hidden_layers": JSON(try positive("llama.block_count")),
      "num_attention_heads": JSON(heads),
      "num_key_value_heads": JSON(kvHeads),
      "head_dim": JSON(headSize),
      "hidden_act": "silu",
      "rms_norm_eps": JSON(try float("llama.attention.layer_norm_rms_epsilon")),
      "rope_theta": JSON(ropeBase),
      "rope_parameters": ["rope_type": "default", "rope_theta": JSON(ropeBase)],
      "max_position_embeddings": JSON(try positive("llama.context_length")),
      "vocab_size": JSON(try vocabularySize()),
      "attention_bias": false,
      "mlp_bias": false,
      "tie_word_embeddings": JSON(tensors["output.weight"] == nil),
    ]
    for (key, field) in Self.tokenFields where metadata[key] != nil { configuration[field] = JSON(try integer(key)) }
    return configuration
  }

  /// Ids of special tokens, and what config.json calls them.
  static let tokenFields = [
    ("tokenizer.ggml.bos_token_id", "bos_token_id"),
    ("tokenizer.ggml.eos_token_id", "eos_token_id"),
    ("tokenizer.ggml.padding_token_id", "pad_token_id"),
  ]

  /// Keys that are translated or, as counts and hints, change nothing.
  private static let understood: Set<String> = [
    "llama.block_count", "llama.context_length", "llama.embedding_length", "llama.feed_forward_length",
    "llama.attention.head_count", "llama.attention.head_count_kv", "llama.attention.layer_norm_rms_epsilon",
    "llama.attention.key_length", "llama.attention.value_length", "llama.rope.freq_base",
    "llama.rope.dimension_count", "llama.vocab_size",
  ]

  private func checkLlamaKeys() throws(GGUFFault) {
    let unscaled: Bool
    if case .string("none") = metadata["llama.rope.scaling.type"] { unscaled = true } else { unscaled = false }
    for (key, value) in metadata where key.hasPrefix("llama.") && !Self.understood.contains(key) {
      // The other fields of rope.scaling say nothing where the type says that there is no scaling.
      if key.hasPrefix("llama.rope.scaling."), unscaled { continue }
      if key == "llama.expert_count" || key == "llama.expert_used_count", value.integer == 0 { continue }
      throw .unsupportedKey(key, value: value.text)
    }
  }

  private func headSize(hidden: Int, heads: Int) throws(GGUFFault) -> Int {
    var size = hidden / heads
    if metadata["llama.attention.key_length"] != nil {
      size = try positive("llama.attention.key_length")
    } else if hidden % heads != 0 {
      throw .metadataValue(
        key: "llama.attention.head_count", found: String(heads), expected: "a divisor of embedding_length \(hidden)")
    }
    for key in ["llama.attention.value_length", "llama.rope.dimension_count"] where metadata[key] != nil {
      guard try positive(key) == size else {
        throw .metadataValue(key: key, found: metadata[key]?.text ?? "", expected: "the size of a head, \(size)")
      }
    }
    return size
  }

  private func vocabularySize() throws(GGUFFault) -> Int {
    if metadata["llama.vocab_size"] != nil { return try positive("llama.vocab_size") }
    return try array("tokenizer.ggml.tokens").count
  }
}

/// Typed access to metadata.
extension GGUFFile {
  func value(_ key: String) throws(GGUFFault) -> GGUFValue {
    guard let value = metadata[key] else { throw .metadataMissing(key: key) }
    return value
  }

  func string(_ key: String) throws(GGUFFault) -> String {
    let value = try value(key)
    guard case .string(let string) = value else { throw wrong(key, "a string", value) }
    return string
  }

  func bool(_ key: String) throws(GGUFFault) -> Bool {
    let value = try value(key)
    guard case .bool(let bool) = value else { throw wrong(key, "a boolean", value) }
    return bool
  }

  func integer(_ key: String) throws(GGUFFault) -> Int {
    let value = try value(key)
    guard let integer = value.integer else { throw wrong(key, "an integer", value) }
    return integer
  }

  /// An integer that counts something there must be: 1 to 2^31 - 1.
  func positive(_ key: String) throws(GGUFFault) -> Int {
    let integer = try integer(key)
    guard (1...Int(Int32.max)).contains(integer) else {
      throw .metadataValue(key: key, found: String(integer), expected: "1 to \(Int32.max)")
    }
    return integer
  }

  /// A finite float.
  func float(_ key: String) throws(GGUFFault) -> Double {
    let value = try value(key)
    guard case .float(let float) = value else { throw wrong(key, "a float", value) }
    guard float.isFinite else { throw .metadataValue(key: key, found: value.text, expected: "a finite number") }
    return float
  }

  func array(_ key: String) throws(GGUFFault) -> GGUFArray {
    let value = try value(key)
    guard case .array(let array) = value else { throw wrong(key, "an array", value) }
    return array
  }

  private func wrong(_ key: String, _ expected: String, _ value: GGUFValue) -> GGUFFault {
    .metadataType(key: key, expected: expected, found: value.typeName)
  }

  /// The result of `body`, whose faults become errors about this file.
  func fault<T>(_ body: (GGUFFile) throws(GGUFFault) -> T) throws(CheckpointError) -> T {
    do throws(GGUFFault) {
      return try body(self)
    } catch {
      throw .gguf(path: path, error)
    }
  }
}
