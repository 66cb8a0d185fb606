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
      let preTokenizer = try PreTokenizerReader.definition(json["pre_tokenizer"])
      let normalizer = try NormalizerReader.steps(json["normalizer"])
      self.path = path
      self.normalizer = normalizer
      decoder = try DecoderReader.steps(json["decoder"])

      let added: [(token: AddedToken, normalized: Bool)]
      switch model["type"]?.string ?? (model["merges"] == nil ? "none" : "BPE") {
      case "BPE":
        var builder = try Self.bytePairs(model)
        added = try Self.addedTokens(json["added_tokens"], to: &builder)
        let options = try Self.options(model, builder, preTokenizer.alphabet)
        let isRewritten = options.alphabet != preTokenizer.alphabet
        self.preTokenizer = preTokenizer.steps + (isRewritten ? [.byteAlphabet] : [])
        let pairs = BytePairModel(vocabulary: builder.vocabulary, merges: builder.merges, options: options)
        self.model = TokenModel(vocabulary: builder.vocabulary, algorithm: .bytePairs(pairs))
      case "Unigram":
        var (builder, unigram) = try Self.unigram(model)
        added = try Self.addedTokens(json["added_tokens"], to: &builder)
        self.preTokenizer = preTokenizer.steps + (preTokenizer.alphabet == .bytes ? [.byteAlphabet] : [])
        self.model = TokenModel(vocabulary: builder.vocabulary, algorithm: .unigram(unigram))
      case let type: throw .unsupported(part: "model.type", found: type, supported: "BPE, Unigram")
      }
      self.added = AddedTokens(added.filter { !$0.normalized }.map(\.token))
      addedNormalized = AddedTokens(try Self.normalized(added.filter(\.normalized).map(\.token), normalizer))
      special = Set(added.map(\.token).filter(\.special).map(\.id))
      (prefix, suffix) = try TemplateReader.template(json["post_processor"], vocabulary: self.model.vocabulary)
    } catch {
      throw .tokenizer(path: path, error)
    }
  }

  private static func bytePairs(_ model: Object) throws(TokenizerFault) -> VocabularyBuilder {
    if let dropout = model["dropout"], dropout.number != 0 {
      throw .unsupported(part: "model.dropout", found: "a value", supported: "null")
    }
    for field in ["continuing_subword_prefix", "end_of_word_suffix"] {
      guard let value = model[field], value.string != "" else { continue }
      throw .unsupported(part: "model.\(field)", found: value.string ?? value.typeName, supported: "null or \"\"")
    }
    let vocabulary = try Object(model["vocab"], "model.vocab").members
    guard let mergeList = model["merges"]?.array else { throw .field("model.merges", expected: "an array") }
    var builder = try VocabularyBuilder(tokens: vocabulary.count, merges: mergeList.count)
    for (token, id) in vocabulary {
      guard let id = id.integer else { throw .field("model.vocab[\"\(token)\"]", expected: "an integer") }
      try builder.add(token, id: id)
    }
    for (index, merge) in mergeList.enumerated() { try Self.add(merge, index, to: &builder) }
    return builder
  }

  private static func options(
    _ model: Object, _ builder: VocabularyBuilder, _ alphabet: BytePairModel.Alphabet
  ) throws(TokenizerFault) -> BytePairModel.Options {
    var options = BytePairModel.Options()
    options.ignoreMerges = try model.bool("ignore_merges")
    options.fuseUnknown = try model.bool("fuse_unk")
    options.byteFallback = try model.bool("byte_fallback")
    options.unknown = try unknown(model, builder)
    options.foreign = builder.foreign
    // The bytes to fall back to are those of the byte alphabet's characters.
    options.alphabet = options.byteFallback ? .characters : alphabet
    return options
  }

  private static func unigram(_ model: Object) throws(TokenizerFault) -> (VocabularyBuilder, UnigramModel) {
    let expected = "an array of [token, score]"
    guard let list = model["vocab"]?.array else { throw .field("model.vocab", expected: expected) }
    var builder = try VocabularyBuilder(tokens: list.count, merges: 0)
    var scores: [Double] = []
    scores.reserveCapacity(list.count)
    for (id, entry) in list.enumerated() {
      guard let pair = entry.array, pair.count == 2, let token = pair[0].string, let score = pair[1].number,
        score.isFinite
      else { throw .field("model.vocab[\(id)]", expected: "[token, score]") }
      try builder.add(token, id: id)
      scores.append(score)
    }
    var unknown: Int32?
    if let value = model["unk_id"] {
      guard let id = value.integer, list.indices.contains(id) else {
        throw .field("model.unk_id", expected: "the id of a token, or null")
      }
      unknown = Int32(id)
    }
    let unigram = UnigramModel(
      vocabulary: builder.vocabulary, scores: scores, unknown: unknown, byteFallback: try model.bool("byte_fallback"))
    return (builder, unigram)
  }

  /// Tokens that are looked for in normalised text are themselves normalised before.
  private static func normalized(
    _ tokens: [AddedToken], _ steps: [NormalizerStep]
  ) throws(TokenizerFault) -> [AddedToken] {
    if steps.isEmpty { return tokens }
    let normalizer = try Normalizer(steps)
    var normalized: [AddedToken] = []
    for var token in tokens {
      var piece = TextPiece(bytes: Array(token.content.utf8), start: .text)
      try normalizer.normalize(&piece)
      token.target = piece.bytes
      normalized.append(token)
    }
    return normalized
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

  private static func unknown(_ model: Object, _ builder: VocabularyBuilder) throws(TokenizerFault) -> Int32? {
    guard let value = model["unk_token"] else { return nil }
    guard let token = value.string else { throw .field("model.unk_token", expected: "a string or null") }
    guard let id = builder.vocabulary.id(of: token), !builder.foreign.contains(id) else { throw .specialToken(token) }
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
      try builder.addAdded(content, id: id)
      let token = AddedToken(
        id: Int32(id), content: content, special: try entry.bool("special"), stripsLeft: try entry.bool("lstrip"),
        stripsRight: try entry.bool("rstrip"), isSingleWord: try entry.bool("single_word"))
      tokens.append((token, try entry.bool("normalized")))
    }
    return tokens
  }
}
