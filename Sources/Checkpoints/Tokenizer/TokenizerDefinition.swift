// What a tokenizer is made of, from whatever file: vocabulary, merges, steps, special tokens.

/// The parts of a tokenizer, checked.
struct TokenizerDefinition: Sendable {
  /// The file it comes from, for messages.
  let path: String
  let model: TokenModel
  /// Cut out of a text before and after it is normalised.
  let added: AddedTokens
  let addedNormalized: AddedTokens
  let special: Set<Int32>
  let normalizer: [NormalizerStep]
  let preTokenizer: [PreTokenizerStep]
  let decoder: [DecoderStep]
  /// What is put around a sequence on request.
  let prefix: [Int32]
  let suffix: [Int32]
}
