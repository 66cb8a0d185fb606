// Tokens, scores, types and merges of GGUF metadata, checked against each other.

import OrderedCollections

struct GGUFVocabulary {
  private(set) var builder: VocabularyBuilder
  /// By id; empty where the kind of tokenizer has none.
  private(set) var scores: [Float] = []
  /// Merges by rank if they are not in the file.
  private(set) var derived: DerivedMerges?
  private(set) var unknown: Int32?

  /// The numbers of `tokenizer.ggml.token_type`.
  private enum TokenType: Int {
    case normal = 1
    case unknown, control, userDefined, unused, byte

    static let expected = "one of 1 to 6 for each token"
  }

  init(_ file: GGUFFile, _ scheme: GGUFTokenizerScheme) throws(CheckpointError) {
    let tokens = try file.fault { file throws(GGUFFault) in try file.array("tokenizer.ggml.tokens") }
    var mergeList: GGUFArray?
    if scheme.kind == .byteLevel || scheme.kind != .unigram && file.metadata["tokenizer.ggml.merges"] != nil {
      mergeList = try file.fault { file throws(GGUFFault) in try file.array("tokenizer.ggml.merges") }
    }
    do throws(TokenizerFault) {
      builder = try VocabularyBuilder(tokens: tokens.count, merges: mergeList?.count ?? 0)
      let tokensAreStrings = try tokens.forEachString { id, token throws(TokenizerFault) in
        guard token.isValidUTF8 else { throw .field("tokenizer.ggml.tokens[\(id)]", expected: "UTF-8") }
        let isRun = scheme.kind == .sentencePiece(.ids) && token.count > 1 && token.allSatisfy { $0 == 0x20 }
        // Gemma's runs of spaces are written as such, in a vocabulary that writes spaces otherwise.
        try isRun ? builder.add(String(repeating: "\u{2581}", count: token.count), id: id) : builder.add(token, id: id)
      }
      guard tokensAreStrings else { throw .field("tokenizer.ggml.tokens", expected: "an array of strings") }
      if let mergeList {
        let mergesAreStrings = try mergeList.forEachString { index, merge throws(TokenizerFault) in
          try builder.addMerge(merge, index: index)
        }
        guard mergesAreStrings else { throw .field("tokenizer.ggml.merges", expected: "an array of strings") }
      }
      try readScores(file, scheme, hasMerges: mergeList != nil)
      unknown = try Self.unknown(file, scheme, builder.vocabulary)
    } catch {
      throw .tokenizer(path: file.path, error)
    }
  }

  private mutating func readScores(
    _ file: GGUFFile, _ scheme: GGUFTokenizerScheme, hasMerges: Bool
  ) throws(TokenizerFault) {
    let count = builder.vocabulary.limit
    switch scheme.kind {
    case .byteLevel: return
    case .sentencePiece(.ids): scores = (0..<count).map { -Float($0) }
    case .sentencePiece(.scores) where hasMerges: return
    case .sentencePiece(.scores), .unigram:
      guard case .array(let array) = file.metadata["tokenizer.ggml.scores"], let values = array.floats,
        values.count == count, values.allSatisfy(\.isFinite)
      else { throw .field("tokenizer.ggml.scores", expected: "a finite float32 for each token") }
      scores = values
    }
    guard !hasMerges, scheme.kind != .unigram else { return }
    let derived = try DerivedMerges(builder.vocabulary, scores: scores)
    builder.setMerges(derived.pairs)
    self.derived = derived
  }

  /// `tokenizer.ggml.unknown_token_id`; llama.cpp's default for the kind of tokenizer if the file has none.
  private static func unknown(
    _ file: GGUFFile, _ scheme: GGUFTokenizerScheme, _ vocabulary: Vocabulary
  ) throws(TokenizerFault) -> Int32? {
    if scheme.kind == .byteLevel { return nil }
    let key = "tokenizer.ggml.unknown_token_id"
    guard let value = file.metadata[key] else {
      let usual = scheme.kind == .unigram ? 2 : 0
      return vocabulary.token(usual) == "<unk>" ? Int32(usual) : nil
    }
    guard let id = value.integer, vocabulary.token(id) != nil else { throw .field(key, expected: "the id of a token") }
    return Int32(id)
  }

  /// Control tokens and the unknown token are special; user-defined ones are cut out of text too but are text.
  static func addedTokens(_ file: GGUFFile, _ vocabulary: Vocabulary) throws(TokenizerFault) -> [AddedToken] {
    guard let value = file.metadata["tokenizer.ggml.token_type"] else { return [] }
    guard case .array(let array) = value, array.count == vocabulary.limit, let types = array.integers else {
      throw .field("tokenizer.ggml.token_type", expected: TokenType.expected)
    }
    var added: [AddedToken] = []
    for (id, number) in types.enumerated() {
      guard let type = TokenType(rawValue: number) else {
        throw .field("tokenizer.ggml.token_type", expected: TokenType.expected)
      }
      switch type {
      case .normal, .unused, .byte: continue
      case .unknown, .control, .userDefined:
        guard let content = vocabulary.token(id), !content.isEmpty else { continue }
        added.append(AddedToken(id: Int32(id), content: content, special: type != .userDefined))
      }
    }
    return added
  }
}

extension UnsafeRawBufferPointer {
  var isValidUTF8: Bool { String(validating: self, as: UTF8.self) != nil }
}
