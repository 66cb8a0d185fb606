// GGUF metadata as the keys of a Hugging Face config.json. Every key under the architecture's prefix is either
// translated, known to change nothing, or an error: a field that changes the arithmetic must not be passed over.
//
// One key is Espalier's own: `espalier_norm_offset` (`Checkpoint.normOffsetKey`), for norm weights that GGUF stores in
// another form than Hugging Face's layout.

package import JSON
import OrderedCollections
import Tensors

extension GGUFFile {
  /// The tables of the file's `general.architecture`; nil for one that is not translated.
  func architecture() throws(CheckpointError) -> GGUFArchitecture? {
    let name = try fault { file throws(GGUFFault) in try file.string("general.architecture") }
    return GGUFArchitecture.all.first { $0.name == name }
  }

  /// The metadata under the names of config.json. Of architectures that are not translated only `model_type` is given.
  /// - Throws: `CheckpointError.gguf` for what is missing, of the wrong type, contradictory or not supported.
  package func configuration() throws(CheckpointError) -> JSONObject {
    guard let architecture = try architecture() else {
      return ["model_type": JSON(try fault { file throws(GGUFFault) in try file.string("general.architecture") })]
    }
    return try fault { file throws(GGUFFault) in
      try file.checkWhole()
      let fields = GGUFFields(file: file, architecture: architecture.name)
      try fields.checkKeys(understood: architecture.understood)
      var configuration = try architecture.configuration(fields)
      for (key, field) in Self.tokenFields where file.metadata[key] != nil {
        configuration[field] = JSON(try file.integer(key))
      }
      return configuration
    }
  }

  /// Refuses one of several files that a model was split into: the rest of the tensors is elsewhere.
  private func checkWhole() throws(GGUFFault) {
    guard metadata["split.count"] != nil, case let count = try integer("split.count"), count > 1 else { return }
    throw .metadataValue(
      key: "split.count", found: String(count),
      expected: "1, a model in one file (llama-gguf-split --merge makes it of the parts)")
  }

  /// Ids of special tokens, and what config.json calls them.
  static let tokenFields = [
    ("tokenizer.ggml.bos_token_id", "bos_token_id"),
    ("tokenizer.ggml.eos_token_id", "eos_token_id"),
    ("tokenizer.ggml.padding_token_id", "pad_token_id"),
  ]
}

/// What the families share.
extension GGUFFields {
  func checkKeys(understood: Set<String>) throws(GGUFFault) {
    let prefix = key("")
    for (key, value) in file.metadata where key.hasPrefix(prefix) {
      let name = String(key.dropFirst(prefix.count))
      if understood.contains(name) { continue }
      if understood.contains("rope.freq_base"), name.hasPrefix(GGUFRope.scalingPrefix) { continue }  // see GGUFRope
      if name == "expert_count" || name == "expert_used_count", value.integer == 0 { continue }
      throw .unsupportedKey(key, value: value.text)
    }
  }

  /// The fields of decoders with RMS norms, gated feed-forward layers and rotary embeddings, but for the latter.
  func decoder(modelClass: String, modelType: String) throws(GGUFFault) -> JSONObject {
    let heads = try heads()
    return [
      "architectures": [.string(modelClass)],
      "model_type": .string(modelType),
      "hidden_size": JSON(try positive("embedding_length")),
      "intermediate_size": JSON(try positive("feed_forward_length")),
      "num_hidden_layers": JSON(try layers()),
      "num_attention_heads": JSON(heads),
      "num_key_value_heads": JSON(try positive("attention.head_count_kv", default: heads)),
      "head_dim": JSON(try headSize()),
      "rms_norm_eps": JSON(try float("attention.layer_norm_rms_epsilon")),
      "max_position_embeddings": JSON(try positive("context_length")),
      "vocab_size": JSON(try vocabularySize()),
      "tie_word_embeddings": JSON(file.tensors["output.weight"] == nil),
    ]
  }

  /// Every layer has a tensor, so that a list of layers is never longer than the file allows.
  func layers() throws(GGUFFault) -> Int {
    let layers = try positive("block_count")
    guard layers <= file.tensors.count else {
      throw .metadataValue(
        key: key("block_count"), found: String(layers),
        expected: "at most \(file.tensors.count), the number of tensors")
    }
    return layers
  }

  /// Query heads. Unless the size of a head is given, they divide the channels.
  func heads() throws(GGUFFault) -> Int {
    let hidden = try positive("embedding_length"), heads = try positive("attention.head_count")
    guard has("attention.key_length") || hidden % heads == 0 else {
      throw .metadataValue(
        key: key("attention.head_count"), found: String(heads), expected: "a divisor of embedding_length \(hidden)")
    }
    return heads
  }

  func headSize() throws(GGUFFault) -> Int {
    let size = try positive("attention.key_length", default: positive("embedding_length") / heads())
    for name in ["attention.value_length", "rope.dimension_count"] where has(name) {
      guard try positive(name) == size else {
        throw .metadataValue(
          key: key(name), found: file.metadata[key(name)]?.text ?? "", expected: "the size of a head, \(size)")
      }
    }
    return size
  }

  func vocabularySize() throws(GGUFFault) -> Int {
    if has("vocab_size") { return try positive("vocab_size") }
    return try file.array("tokenizer.ggml.tokens").count
  }
}

extension JSONObject {
  /// Takes over the fields of a rotary embedding.
  mutating func add(_ rope: GGUFRope) {
    for (key, value) in rope.configuration { self[key] = value }
  }
}
