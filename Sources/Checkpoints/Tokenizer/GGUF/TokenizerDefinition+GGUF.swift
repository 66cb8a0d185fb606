// A tokenizer from GGUF metadata (ggml/docs/gguf.md, "Tokenizer").

import JSON
import OrderedCollections

extension TokenizerDefinition {
  /// - Throws: `CheckpointError.gguf` for missing or mistyped metadata, `.tokenizer` for what it says.
  init(gguf file: GGUFFile) throws(CheckpointError) {
    let scheme = try GGUFTokenizerScheme(file)
    let vocabulary = try GGUFVocabulary(file, scheme)
    do throws(TokenizerFault) {
      let preTokenizer = try PreTokenizerReader.definition(scheme.preTokenizer)
      let tokens = vocabulary.builder.vocabulary
      path = file.path
      normalizer = try NormalizerReader.steps(scheme.normalizer)
      self.preTokenizer = preTokenizer.steps
      decoder = try DecoderReader.steps(scheme.decoder)
      switch scheme.kind {
      case .byteLevel, .sentencePiece:
        var options = BytePairModel.Options()
        options.alphabet = preTokenizer.alphabet
        options.ignoreMerges = scheme.ignoreMerges
        if scheme.kind != .byteLevel {
          options.unknown = vocabulary.unknown
          options.fuseUnknown = true
          options.byteFallback = true
        }
        let pairs = BytePairModel(vocabulary: tokens, merges: vocabulary.builder.merges, options: options)
        model = TokenModel(vocabulary: tokens, algorithm: .bytePairs(pairs))
      case .unigram:
        let unigram = UnigramModel(
          vocabulary: tokens, scores: vocabulary.scores.map { Double($0) }, unknown: vocabulary.unknown,
          byteFallback: false)
        model = TokenModel(vocabulary: tokens, algorithm: .unigram(unigram))
      }
      let added = try GGUFVocabulary.addedTokens(file, tokens)
      self.added = AddedTokens(added)
      addedNormalized = AddedTokens([])
      special = Set(added.filter(\.special).map(\.id))
      prefix = try Self.edge(file, "bos", byDefault: scheme.addsBegin, tokens)
      suffix = try Self.edge(file, "eos", byDefault: scheme.addsEnd, tokens)
    } catch {
      throw .tokenizer(path: file.path, error)
    }
  }

  /// The token that `tokenizer.ggml.add_bos_token` or `add_eos_token` asks for.
  private static func edge(
    _ file: GGUFFile, _ name: String, byDefault: Bool, _ vocabulary: Vocabulary
  ) throws(TokenizerFault) -> [Int32] {
    let flag = "tokenizer.ggml.add_\(name)_token"
    guard try file.flag(flag, default: byDefault) else { return [] }
    let key = "tokenizer.ggml.\(name)_token_id"
    guard let id = file.metadata[key]?.integer, vocabulary.token(id) != nil else {
      throw .field(key, expected: "the id of a token, because \(flag) is true")
    }
    return [Int32(id)]
  }
}
