// The tokenizer of a GGUF file as the files of a Hugging Face folder, so that an export of the model can be loaded
// there and gives the same ids.

import JSON
import OrderedCollections

/// Writes tokenizer.json and its companions from GGUF metadata that `TokenizerDefinition` has accepted.
struct GGUFTokenizerFiles {
  let file: GGUFFile

  /// All files, each made when it is asked for.
  var companions: [CompanionFile] {
    var files = [
      CompanionFile(name: "tokenizer.json") { () throws(CheckpointError) in try bytes(tokenizer()) },
      CompanionFile(name: "tokenizer_config.json") { () throws(CheckpointError) in try bytes(tokenizerConfig()) },
      CompanionFile(name: "generation_config.json") { () throws(CheckpointError) in try bytes(generationConfig()) },
    ]
    if case .string(let template) = file.metadata["tokenizer.chat_template"] {
      files.append(CompanionFile(name: "chat_template.jinja", bytes: Array(template.utf8)))
    }
    return files
  }

  private func bytes(_ json: JSON) throws(CheckpointError) -> [UInt8] {
    do throws(JSONError) {
      return try json.prettyPrinted() + [UInt8(ascii: "\n")]
    } catch {
      throw .json(path: file.path, reason: error.message)
    }
  }

  /// The document of tokenizer.json.
  func tokenizer() throws(CheckpointError) -> JSON {
    let scheme = try GGUFTokenizerScheme(file)
    let vocabulary = try GGUFVocabulary(file, scheme)
    let definition = try TokenizerDefinition(gguf: file)
    return [
      "version": "1.0",
      "truncation": nil,
      "padding": nil,
      "added_tokens": .array(try addedTokens(definition)),
      "normalizer": scheme.normalizer,
      "pre_tokenizer": scheme.preTokenizer,
      "post_processor": Self.postProcessor(definition, isByteLevel: scheme.kind == .byteLevel),
      "decoder": scheme.decoder,
      "model": try model(scheme, vocabulary),
    ]
  }

  private func model(_ scheme: GGUFTokenizerScheme, _ vocabulary: GGUFVocabulary) throws(CheckpointError) -> JSON {
    let tokens = vocabulary.builder.vocabulary
    let unknown = vocabulary.unknown.flatMap { tokens.token(Int($0)) }
    if scheme.kind == .unigram {
      let entries = (0..<tokens.limit).map { id -> JSON in
        [JSON(tokens.token(id) ?? ""), JSON(Double(vocabulary.scores[id]))]
      }
      return [
        "type": "Unigram", "unk_id": JSON(vocabulary.unknown.map { Int($0) }), "vocab": .array(entries),
        "byte_fallback": false,
      ]
    }
    var entries: [(String, JSON)] = []
    for id in 0..<tokens.limit { if let token = tokens.token(id) { entries.append((token, JSON(id))) } }
    let isByteLevel = scheme.kind == .byteLevel
    return [
      "type": "BPE",
      "dropout": nil,
      "unk_token": JSON(unknown),
      "continuing_subword_prefix": nil,
      "end_of_word_suffix": nil,
      "fuse_unk": JSON(!isByteLevel),
      "byte_fallback": JSON(!isByteLevel),
      "ignore_merges": JSON(scheme.ignoreMerges),
      "vocab": .object(JSONObject(entries)),
      "merges": .array(try merges(vocabulary)),
    ]
  }

  private func addedTokens(_ definition: TokenizerDefinition) throws(CheckpointError) -> [JSON] {
    do throws(TokenizerFault) {
      return try GGUFVocabulary.addedTokens(file, definition.model.vocabulary).map { token in
        [
          "id": JSON(Int(token.id)), "content": JSON(token.content), "single_word": false, "lstrip": false,
          "rstrip": false, "normalized": false, "special": JSON(token.special),
        ]
      }
    } catch {
      throw .tokenizer(path: file.path, error)
    }
  }

  private func merges(_ vocabulary: GGUFVocabulary) throws(CheckpointError) -> [JSON] {
    if let derived = vocabulary.derived {
      let token = { (id: Int32) in vocabulary.builder.vocabulary.token(Int(id)) ?? "" }
      return derived.pairs.map { JSON([token($0.left), token($0.right)]) }
    }
    let array = try file.fault { file throws(GGUFFault) in try file.array("tokenizer.ggml.merges") }
    var merges: [JSON] = []
    _ = array.forEachString { _, merge in
      merges.append(JSON(merge.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }))
    }
    return merges
  }

  private static func postProcessor(_ definition: TokenizerDefinition, isByteLevel: Bool) -> JSON {
    if definition.prefix.isEmpty, definition.suffix.isEmpty {
      guard isByteLevel else { return .null }
      return ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true]
    }
    let token = { (id: Int32) in definition.model.vocabulary.token(Int(id)) ?? "" }
    let special = { (id: Int32) -> JSON in ["SpecialToken": ["id": JSON(token(id)), "type_id": 0]] }
    let sequence = { (name: String, type: Int) -> JSON in ["Sequence": ["id": JSON(name), "type_id": JSON(type)]] }
    let (prefix, suffix) = (definition.prefix.map(special), definition.suffix.map(special))
    var tokens = JSONObject()
    for id in definition.prefix + definition.suffix {
      tokens[token(id)] = ["id": JSON(token(id)), "ids": JSON([Int(id)]), "tokens": JSON([token(id)])]
    }
    return [
      "type": "TemplateProcessing",
      "single": .array(prefix + [sequence("A", 0)] + suffix),
      "pair": .array(prefix + [sequence("A", 0)] + suffix + [sequence("B", 1)]),
      "special_tokens": .object(tokens),
    ]
  }

  private func tokenizerConfig() throws(CheckpointError) -> JSON {
    var config: JSONObject = [
      "tokenizer_class": "PreTrainedTokenizerFast",
      "clean_up_tokenization_spaces": false,
    ]
    if try GGUFTokenizerScheme(file).kind == .byteLevel { config["add_prefix_space"] = false }
    let names = [("bos", "bos_token"), ("eos", "eos_token"), ("unknown", "unk_token"), ("padding", "pad_token")]
    let vocabulary = try TokenizerDefinition(gguf: file).model.vocabulary
    for (name, field) in names {
      if let id = file.metadata["tokenizer.ggml.\(name)_token_id"]?.integer, let token = vocabulary.token(id) {
        config[field] = JSON(token)
      }
    }
    if case .string(let architecture) = file.metadata["general.architecture"],
      let length = file.metadata["\(architecture).context_length"]?.integer
    {
      config["model_max_length"] = JSON(length)
    }
    return .object(config)
  }

  private func generationConfig() throws(CheckpointError) -> JSON {
    var config = JSONObject()
    for (key, field) in GGUFFile.tokenFields {
      if let id = file.metadata[key]?.integer { config[field] = JSON(id) }
    }
    return .object(config)
  }
}
