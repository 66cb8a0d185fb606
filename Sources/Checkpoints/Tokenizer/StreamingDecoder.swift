// The text of tokens that come one at a time, as when a model writes: what is shown never has to be taken back.

/// Decodes a sequence of tokens from front to back. Everything that `append` and `finish` return, put together, is what
/// `Tokenizer.decode` returns for all tokens at once.
package struct StreamingDecoder {
  private let tokenizer: Tokenizer
  private let skipSpecialTokens: Bool
  private var chain: DecoderChain

  /// - Parameter skipSpecialTokens: leave special tokens out.
  package init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool) {
    self.tokenizer = tokenizer
    self.skipSpecialTokens = skipSpecialTokens
    chain = DecoderChain(tokenizer.definition.decoder)
  }

  /// The text that is final now that `id` is the next token. Empty while a character is incomplete.
  /// - Throws: `TokenizerFault.unknownID`.
  package mutating func append(_ id: Int32) throws(CheckpointError) -> String {
    var bytes: [UInt8] = []
    try tokenizer.append(id, to: &chain, skipSpecialTokens: skipSpecialTokens, &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The text that was held back: an incomplete character as U+FFFD. Another sequence may follow.
  package mutating func finish() -> String {
    var bytes: [UInt8] = []
    chain.finish(into: &bytes)
    chain = DecoderChain(tokenizer.definition.decoder)
    return String(decoding: bytes, as: UTF8.self)
  }
}
