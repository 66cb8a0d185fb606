// A tokenizer from the tokenizer.json of Hugging Face's `tokenizers`. What the file asks for and Espalier does not do
// is an error that names it, never passed over. `truncation` and `padding` are about batches, not about text, and have
// no effect here, nor has `trim_offsets`.

import JSON

extension TokenizerDefinition {
  /// Reads the document of a tokenizer.json. `path` is for messages.
  /// - Throws: `CheckpointError.tokenizer`.
  init(json: JSON, path: String) throws(CheckpointError) {
    do throws(TokenizerFault) {
      let model = try Object(json["model"], "model")
      try Self.checkKind(model)
      if let normalizer = json["normalizer"], !normalizer.isNull {
        throw .unsupported(
          part: "normalizer", found: normalizer["type"]?.string ?? normalizer.typeName, supported: "null")
      }
      try Self.checkDecoder(json["decoder"])

      let vocabulary = try Object(model["vocab"], "model.vocab").members
      guard let mergeList = model["merges"]?.array else { throw .field("model.merges", expected: "an array") }
      var builder = try VocabularyBuilder(tokens: vocabulary.count, merges: mergeList.count)
      for (token, id) in vocabulary {
        guard let id = id.integer else { throw .field("model.vocab[\"\(token)\"]", expected: "an integer") }
        try builder.add(token, id: id)
      }
      for (index, merge) in mergeList.enumerated() { try Self.add(merge, index, to: &builder) }
      let unknown = try Self.unknown(model, builder.vocabulary)
      let added = try Self.addedTokens(json["added_tokens"], to: &builder)

      self.path = path
      self.model = BytePairModel(
        vocabulary: builder.vocabulary, merges: builder.merges, ignoreMerges: try model.bool("ignore_merges"),
        unknown: unknown, fuseUnknown: try model.bool("fuse_unk"))
      self.added = [added.filter { !$0.normalized }, added.filter(\.normalized)].filter { !$0.isEmpty }
        .map { AddedTokens($0.map(\.token)) }
      special = Set(added.map(\.token).filter(\.special).map(\.id))
      steps = try PreTokenizerReader.steps(json["pre_tokenizer"])
      (prefix, suffix) = try TemplateReader.template(json["post_processor"], vocabulary: builder.vocabulary)
    } catch {
      throw .tokenizer(path: path, error)
    }
  }

  /// Refuses other models than byte-level BPE, and its options that Espalier does not have.
  private static func checkKind(_ model: Object) throws(TokenizerFault) {
    let type = model["type"]?.string ?? (model["merges"] == nil ? "none" : "BPE")
    guard type == "BPE" else { throw .unsupported(part: "model.type", found: type, supported: "BPE") }
    guard try !model.bool("byte_fallback") else {
      throw .unsupported(part: "model.byte_fallback", found: "true", supported: "false, with a ByteLevel pre-tokenizer")
    }
    if let dropout = model["dropout"], dropout.number != 0 {
      throw .unsupported(part: "model.dropout", found: "a value", supported: "null")
    }
    for field in ["continuing_subword_prefix", "end_of_word_suffix"] {
      guard let value = model[field], value.string != "" else { continue }
      throw .unsupported(part: "model.\(field)", found: value.string ?? value.typeName, supported: "null or \"\"")
    }
  }

  private static func checkDecoder(_ decoder: JSON?) throws(TokenizerFault) {
    let type = decoder?["type"]?.string ?? "none"
    guard type == "ByteLevel" else { throw .unsupported(part: "decoder", found: type, supported: "ByteLevel") }
  }

  private static func add(
    _ merge: JSON, _ index: Int, to builder: inout VocabularyBuilder
  ) throws(TokenizerFault) {
    let result: Result<Void, TokenizerFault>
    switch merge {
    case .string(var text):
      result = text.withUTF8 { text in
        Result { () throws(TokenizerFault) in try builder.addMerge(UnsafeRawBufferPointer(text), index: index) }
      }
    case .array(let parts):
      guard parts.count == 2, case .string(var left) = parts[0], case .string(var right) = parts[1] else { fallthrough }
      result = left.withUTF8 { left in
        right.withUTF8 { right in
          Result { () throws(TokenizerFault) in
            try builder.addMerge(UnsafeRawBufferPointer(left), UnsafeRawBufferPointer(right), index: index)
          }
        }
      }
    default:
      throw .field("model.merges[\(index)]", expected: "\"left right\" or [left, right]")
    }
    try result.get()
  }

  private static func unknown(_ model: Object, _ vocabulary: Vocabulary) throws(TokenizerFault) -> Int32? {
    guard let value = model["unk_token"] else { return nil }
    guard let token = value.string else { throw .field("model.unk_token", expected: "a string or null") }
    guard let id = vocabulary.id(of: token) else { throw .specialToken(token) }
    return id
  }

  private static func addedTokens(
    _ json: JSON?, to builder: inout VocabularyBuilder
  ) throws(TokenizerFault) -> [(token: AddedToken, normalized: Bool)] {
    guard let json, !json.isNull else { return [] }
    guard let list = json.array else { throw .field("added_tokens", expected: "an array") }
    var tokens: [(AddedToken, Bool)] = []
    for (index, value) in list.enumerated() {
      let entry = try Object(value, "added_tokens[\(index)]")
      guard let content = entry["content"]?.string, !content.isEmpty else {
        throw .field("added_tokens[\(index)].content", expected: "a string that is not empty")
      }
      guard let id = entry["id"]?.integer else { throw .field("added_tokens[\(index)].id", expected: "an integer") }
      guard try !entry.bool("single_word") else {
        throw .unsupported(part: "added_tokens[\(index)].single_word", found: "true", supported: "false")
      }
      try builder.addAdded(content, id: id)
      let token = AddedToken(
        id: Int32(id), content: content, special: try entry.bool("special"), stripsLeft: try entry.bool("lstrip"),
        stripsRight: try entry.bool("rstrip"))
      tokens.append((token, try entry.bool("normalized")))
    }
    return tokens
  }
}

/// A JSON object of a tokenizer file, and what messages call it.
struct Object {
  let members: JSONObject
  let name: String

  init(_ json: JSON?, _ name: String) throws(TokenizerFault) {
    guard let members = json?.object else { throw .field(name, expected: "an object") }
    self.members = members
    self.name = name
  }

  /// A member that is not null.
  subscript(key: String) -> JSON? {
    guard let value = members[key], !value.isNull else { return nil }
    return value
  }

  /// A flag; false if it is not there.
  func bool(_ key: String, default fallback: Bool = false) throws(TokenizerFault) -> Bool {
    guard let value = self[key] else { return fallback }
    guard let bool = value.bool else { throw .field("\(name).\(key)", expected: "true or false") }
    return bool
  }
}
