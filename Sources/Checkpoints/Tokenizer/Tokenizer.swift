// Text to token ids and back: byte-level BPE as Hugging Face's `tokenizers` does it, id for id.
// Built from tokenizer.json (TokenizerDefinition+JSON.swift) or GGUF metadata (TokenizerDefinition+GGUF.swift).

package import Tensors

/// A byte-level BPE tokenizer. Constant; may be used on several threads at once.
package final class Tokenizer: Sendable {
  /// Ids are below this; a vocabulary may have holes.
  package let vocabularySize: Int
  /// The token that begins a sequence, if the model has one.
  package let beginToken: Int32?
  /// The tokens that end a generated text.
  package let endTokens: [Int32]

  private let definition: TokenizerDefinition

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
  ///   - monitor: asked after every few thousand words or merges whether to stop.
  /// - Throws: `CheckpointError.tokenizer` for a text that is too long or on which the tokenizer's own expressions take
  ///   too much work; `Cancelled`.
  package func encode(
    _ text: String, addSpecialTokens: Bool = false, monitor: Monitor = Monitor()
  ) throws -> [Int32] {
    var text = text
    guard text.utf8.count <= Int(Int32.max) else {
      throw CheckpointError.tokenizer(
        path: definition.path, .textTooLong(bytes: text.utf8.count, limit: Int(Int32.max)))
    }
    var ids = addSpecialTokens ? definition.prefix : []
    do {
      var pass = try EncodingPass(definition, monitor)
      try text.withUTF8 { try pass.encode(UnsafeRawBufferPointer($0), into: &ids) }
    } catch let fault as TokenizerFault {
      throw CheckpointError.tokenizer(path: definition.path, fault)
    }
    return addSpecialTokens ? ids + definition.suffix : ids
  }

  /// The text of `ids`. Bytes that are no UTF-8 become U+FFFD, as one token may hold half a character.
  /// - Parameter skipSpecialTokens: leave special tokens out.
  /// - Throws: `TokenizerFault.unknownID`.
  package func decode(_ ids: [Int32], skipSpecialTokens: Bool = false) throws(CheckpointError) -> String {
    String(decoding: try decodedBytes(ids, skipSpecialTokens: skipSpecialTokens), as: UTF8.self)
  }

  /// The bytes of `ids`, before they are read as UTF-8: what a stream of tokens is put together from.
  /// - Throws: as `decode`.
  package func decodedBytes(_ ids: [Int32], skipSpecialTokens: Bool = false) throws(CheckpointError) -> [UInt8] {
    var bytes: [UInt8] = []
    for id in ids {
      let known = definition.model.vocabulary.withToken(Int(id)) { token in
        guard let token else { return false }
        if !(skipSpecialTokens && definition.special.contains(id)) { ByteAlphabet.appendDecoded(token, to: &bytes) }
        return true
      }
      guard known else {
        throw .tokenizer(path: definition.path, .unknownID(Int(id), vocabularySize: vocabularySize))
      }
    }
    return bytes
  }

  /// The token of `id` as the vocabulary writes it, if there is one.
  package func token(_ id: Int32) -> String? { definition.model.vocabulary.token(Int(id)) }

  /// The id of a token as the vocabulary writes it, if there is one.
  package func id(of token: String) -> Int32? { definition.model.vocabulary.id(of: token) }

  /// Whether `id` is a special token.
  package func isSpecial(_ id: Int32) -> Bool { definition.special.contains(id) }
}

/// What one call of `encode` needs: matchers and a cache of words.
private struct EncodingPass {
  private let definition: TokenizerDefinition
  private let preTokenizer: PreTokenizer
  private let monitor: Monitor
  private var cache = WordCache()
  private var words = 0

  init(_ definition: TokenizerDefinition, _ monitor: Monitor) throws(TokenizerFault) {
    self.definition = definition
    self.monitor = monitor
    preTokenizer = try PreTokenizer(definition.steps)
  }

  mutating func encode(_ text: UnsafeRawBufferPointer, into ids: inout [Int32]) throws {
    try encode(text, cutting: 0, into: &ids)
  }

  /// Cuts the added tokens of `definition.added[level...]` out of `text`.
  private mutating func encode(_ text: UnsafeRawBufferPointer, cutting level: Int, into ids: inout [Int32]) throws {
    guard level < definition.added.count else { return try encodeWords(of: text, into: &ids) }
    for part in definition.added[level].parts(of: text) {
      switch part {
      case .token(let id): ids.append(id)
      case .text(let range):
        try encode(UnsafeRawBufferPointer(rebasing: text[range]), cutting: level + 1, into: &ids)
      }
    }
  }

  private mutating func encodeWords(of text: UnsafeRawBufferPointer, into ids: inout [Int32]) throws {
    let model = definition.model
    try preTokenizer.forEachWord(of: text) { word in
      words += 1
      if words % 4096 == 0 { try monitor.checkCancelled() }
      try cache.append(word, to: &ids) { word, ids in try model.encode(word, into: &ids, check: monitor.checkCancelled)
      }
    }
  }
}
