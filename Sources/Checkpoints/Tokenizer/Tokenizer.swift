// Text to token ids and back, as Hugging Face's `tokenizers` does it, id for id: byte pair encoding over bytes (GPT-2,
// OPT, Llama 3, Qwen) or characters (Llama 1 and 2, Mistral, Gemma), and unigram (T5).
// Built from tokenizer.json (TokenizerDefinition+JSON.swift) or GGUF metadata (GGUF/TokenizerDefinition+GGUF.swift).

package import Tensors

/// A tokenizer. Constant; may be used on several threads at once.
package final class Tokenizer: Sendable {
  /// Ids are below this; a vocabulary may have holes.
  package let vocabularySize: Int
  /// The token that begins a sequence, if the model has one.
  package let beginToken: Int32?
  /// The tokens that end a generated text.
  package let endTokens: [Int32]

  /// What the tokenizer puts before a sequence on request.
  package var prefixTokens: [Int32] { definition.prefix }

  let definition: TokenizerDefinition

  /// - Throws: `ConfigurationFault.tokenID` for an id that the vocabulary does not have.
  init(
    _ definition: TokenizerDefinition, begin: (field: String, id: Int)?, ends: [(field: String, id: Int)]
  ) throws(CheckpointError) {
    let vocabulary = definition.model.vocabulary
    for (field, id) in (begin.map { [$0] } ?? []) + ends where vocabulary.token(id) == nil {
      throw .configuration(
        path: definition.path, .tokenID(field: field, id: id, vocabularySize: vocabulary.limit))
    }
    self.definition = definition
    vocabularySize = vocabulary.limit
    beginToken = begin.map { Int32($0.id) }
    var endTokens: [Int32] = []
    for (_, id) in ends where !endTokens.contains(Int32(id)) { endTokens.append(Int32(id)) }
    self.endTokens = endTokens
  }

  /// The ids of `text`. Special tokens that are written out in the text become their ids.
  /// - Parameters:
  ///   - addSpecialTokens: also add what the tokenizer puts around a sequence, such as its begin token.
  ///   - isContinuation: whether the text goes on from one that was encoded before: some tokenizers put a space before
  ///     a text, which is then left out, so that the tokens of both decode to both.
  ///   - monitor: asked after every few thousand words or merges whether to stop.
  /// - Throws: `CheckpointError.tokenizer` for a text that is too long, that has a character without any token, or on
  ///   which the tokenizer's own expressions take too much work; `Cancelled`.
  package func encode(
    _ text: String, addSpecialTokens: Bool = false, isContinuation: Bool = false, monitor: Monitor = Monitor()
  ) throws -> [Int32] {
    var text = text
    guard text.utf8.count <= Int(Int32.max) else {
      throw CheckpointError.tokenizer(
        path: definition.path, .textTooLong(bytes: text.utf8.count, limit: Int(Int32.max)))
    }
    var ids = addSpecialTokens ? definition.prefix : []
    do {
      var pass = try EncodingPass(definition, monitor)
      try text.withUTF8 {
        try pass.encode(UnsafeRawBufferPointer($0), start: isContinuation ? .continuation : .text, into: &ids)
      }
    } catch let fault as TokenizerFault {
      throw CheckpointError.tokenizer(path: definition.path, fault)
    }
    return addSpecialTokens ? ids + definition.suffix : ids
  }

  /// The text of `ids`. Bytes that are no UTF-8 become U+FFFD, as one token may hold half a character.
  /// `StreamingDecoder` gives the same text token by token.
  /// - Parameter skipSpecialTokens: leave special tokens out.
  /// - Throws: `TokenizerFault.unknownID`.
  package func decode(_ ids: [Int32], skipSpecialTokens: Bool = false) throws(CheckpointError) -> String {
    var bytes: [UInt8] = []
    var chain = DecoderChain(definition.decoder)
    for id in ids { try append(id, to: &chain, skipSpecialTokens: skipSpecialTokens, &bytes) }
    chain.finish(into: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The bytes that `ids` stand for, before they are read as UTF-8.
  /// - Throws: as `decode`.
  package func decodedBytes(_ ids: [Int32], skipSpecialTokens: Bool = false) throws(CheckpointError) -> [UInt8] {
    var bytes: [UInt8] = []
    var chain = DecoderChain(definition.decoder, isRaw: true)
    for id in ids { try append(id, to: &chain, skipSpecialTokens: skipSpecialTokens, &bytes) }
    chain.finish(into: &bytes)
    return bytes
  }

  /// Gives token `id` to `chain`, which appends what is final to `output`.
  func append(
    _ id: Int32, to chain: inout DecoderChain, skipSpecialTokens: Bool, _ output: inout [UInt8]
  ) throws(CheckpointError) {
    let isSkipped = skipSpecialTokens && isSpecial(id)
    let known = definition.model.vocabulary.withToken(Int(id)) { token in
      guard let token else { return false }
      if !isSkipped { chain.append(token, to: &output) }
      return true
    }
    guard known else {
      throw .tokenizer(path: definition.path, .unknownID(Int(id), vocabularySize: vocabularySize))
    }
  }

  /// The token of `id` as the vocabulary writes it, if there is one.
  package func token(_ id: Int32) -> String? { definition.model.vocabulary.token(Int(id)) }

  /// The id of a token as the vocabulary writes it, if there is one.
  package func id(of token: String) -> Int32? { definition.model.vocabulary.id(of: token) }

  /// Whether `id` is a special token.
  package func isSpecial(_ id: Int32) -> Bool { definition.special.contains(id) }
}
