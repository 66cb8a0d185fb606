// Opening a folder in Hugging Face layout: config.json, model.safetensors or its shards, tokenizer.json.

import JSON
import OrderedCollections
import Tensors

extension Checkpoint {
  static func openFolder(_ folder: String) throws(CheckpointError) -> Checkpoint {
    let names = try FileSystem.names(in: folder)
    let present = Set(names)
    func require(_ name: String) throws(CheckpointError) {
      guard present.contains(name) else {
        throw .layout(path: folder, .incomplete(missing: name, found: Array(names.prefix(12))))
      }
    }

    let tensors: OrderedDictionary<String, TensorView>
    if present.contains("model.safetensors") {
      tensors = try SafetensorsFile(path: "\(folder)/model.safetensors").tensors
    } else if present.contains(ShardedSafetensors.indexName) {
      tensors = try ShardedSafetensors.open(folder: folder)
    } else if let pickle = names.first(where: isPickleName) {
      throw .layout(path: folder, .pickle(file: pickle))
    } else {
      throw .layout(path: folder, .incomplete(missing: "model.safetensors", found: Array(names.prefix(12))))
    }

    try require("config.json")
    let configuration = try JSON.readObject(path: "\(folder)/config.json")
    try require("tokenizer.json")
    let tokenizerPath = "\(folder)/tokenizer.json"
    let definition = try TokenizerDefinition(json: JSON.read(path: tokenizerPath), path: tokenizerPath)
    let edges = try SequenceEdges(folder: folder, present: present, configuration: configuration, definition)
    return Checkpoint(
      format: .huggingFace, path: folder, configuration: configuration, tensors: TensorOrder.sorted(tensors),
      storedNames: [:], tokenizer: try Tokenizer(definition, begin: edges.begin, ends: edges.ends),
      companionFiles: try companionFiles(in: folder, present: present))
  }

  /// Files that are carried along when they are there.
  private static let companionNames = [
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "merges.txt", "chat_template.jinja", "chat_template.json", "generation_config.json", "LICENSE", "LICENSE.txt",
  ]

  /// Mapped now, so that an export carries what was loaded even if the folder has gone by then.
  private static func companionFiles(
    in folder: String, present: Set<String>
  ) throws(CheckpointError) -> [CompanionFile] {
    var files: [CompanionFile] = []
    for name in companionNames where present.contains(name) {
      let file = try MappedFile(path: "\(folder)/\(name)", limit: JSONLimits.file.bytes)
      files.append(CompanionFile(name: name) { () throws(CheckpointError) in Array(file.bytes) })
    }
    return files
  }
}

/// Which tokens begin and end sequences. A folder says so in up to three files; generation_config.json is the most
/// specific, then config.json, then the names in tokenizer_config.json.
private struct SequenceEdges {
  var begin: (field: String, id: Int)?
  var ends: [(field: String, id: Int)] = []

  init(
    folder: String, present: Set<String>, configuration: JSONObject, _ definition: TokenizerDefinition
  ) throws(CheckpointError) {
    var sources: [(file: String, members: JSONObject)] = []
    if present.contains("generation_config.json") {
      let members = try JSON.readObject(path: "\(folder)/generation_config.json")
      sources.append(("generation_config.json", members))
    }
    sources.append(("config.json", configuration))
    for (file, members) in sources {
      let path = "\(folder)/\(file)"
      if begin == nil, let id = try Self.ids("bos_token_id", in: members, path).first { begin = ("bos_token_id", id) }
      if ends.isEmpty { ends = try Self.ids("eos_token_id", in: members, path).map { ("eos_token_id", $0) } }
    }
    guard begin == nil || ends.isEmpty, present.contains("tokenizer_config.json") else { return }
    let members = try JSON.readObject(path: "\(folder)/tokenizer_config.json")
    let vocabulary = definition.model.vocabulary
    if begin == nil, let id = Self.token("bos_token", in: members, vocabulary) { begin = ("bos_token", id) }
    if ends.isEmpty, let id = Self.token("eos_token", in: members, vocabulary) { ends = [("eos_token", id)] }
  }

  /// An id or a list of ids; none for null.
  private static func ids(
    _ field: String, in members: JSONObject, _ path: String
  ) throws(CheckpointError) -> [Int] {
    guard let value = members[field], !value.isNull else { return [] }
    let list = value.array ?? [value]
    let ids = list.compactMap(\.integer)
    guard ids.count == list.count else {
      throw .configuration(
        path: path, .field(field, expected: "a token id or a list of token ids", found: value.typeName))
    }
    return ids
  }

  /// A token by its text, or by an object with its text.
  private static func token(_ field: String, in members: JSONObject, _ vocabulary: Vocabulary) -> Int? {
    let text = members[field]?.string ?? members[field]?["content"]?.string
    return text.flatMap { vocabulary.id(of: $0) }.map { Int($0) }
  }
}
