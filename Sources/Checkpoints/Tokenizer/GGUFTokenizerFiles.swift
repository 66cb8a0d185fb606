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
    let preTokenizer = try file.preTokenizer()
    let definition = try TokenizerDefinition(gguf: file)
    var vocabulary: [(String, JSON)] = []
    for id in 0..<definition.model.vocabulary.limit {
      if let token = definition.model.vocabulary.token(id) { vocabulary.append((token, JSON(id))) }
    }
    return [
      "version": "1.0",
      "truncation": nil,
      "padding": nil,
      "added_tokens": .array(try addedTokens(definition)),
      "normalizer": nil,
      "pre_tokenizer": Self.preTokenizer(preTokenizer),
      "post_processor": Self.postProcessor(definition),
      "decoder": Self.byteLevel(usesRegex: true),
      "model": [
        "type": "BPE",
        "dropout": nil,
        "unk_token": nil,
        "continuing_subword_prefix": nil,
        "end_of_word_suffix": nil,
        "fuse_unk": false,
        "byte_fallback": false,
        "ignore_merges": JSON(preTokenizer.ignoreMerges),
        "vocab": .object(JSONObject(vocabulary)),
        "merges": .array(try merges()),
      ],
    ]
  }

  private func addedTokens(_ definition: TokenizerDefinition) throws(CheckpointError) -> [JSON] {
    do throws(TokenizerFault) {
      return try TokenizerDefinition.addedTokens(file, definition.model.vocabulary).map { token in
        [
          "id": JSON(Int(token.id)), "content": JSON(token.content), "single_word": false, "lstrip": false,
          "rstrip": false, "normalized": false, "special": JSON(token.special),
        ]
      }
    } catch {
      throw .tokenizer(path: file.path, error)
    }
  }

  private func merges() throws(CheckpointError) -> [JSON] {
    let array = try file.fault { file throws(GGUFFault) in try file.array("tokenizer.ggml.merges") }
    var merges: [JSON] = []
    _ = array.forEachString { _, merge in
      merges.append(JSON(merge.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }))
    }
    return merges
  }

  private static func preTokenizer(_ preTokenizer: GGUFPreTokenizer) -> JSON {
    var steps: [JSON] = []
    if preTokenizer.digits { steps.append(["type": "Digits", "individual_digits": true]) }
    if let expression = preTokenizer.expression {
      steps.append([
        "type": "Split", "pattern": ["Regex": JSON(expression)], "behavior": "Isolated", "invert": false,
      ])
    }
    steps.append(byteLevel(usesRegex: preTokenizer.expression == nil))
    return steps.count == 1 ? steps[0] : ["type": "Sequence", "pretokenizers": .array(steps)]
  }

  private static func byteLevel(usesRegex: Bool) -> JSON {
    ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": JSON(usesRegex)]
  }

  private static func postProcessor(_ definition: TokenizerDefinition) -> JSON {
    if definition.prefix.isEmpty, definition.suffix.isEmpty { return byteLevel(usesRegex: true) }
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
      "add_prefix_space": false,
      "clean_up_tokenization_spaces": false,
    ]
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
