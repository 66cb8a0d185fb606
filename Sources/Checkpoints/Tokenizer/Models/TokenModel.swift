// How the words of a text become tokens: byte pair encoding or unigram, with the vocabulary that both need.

/// A vocabulary and the algorithm over it.
struct TokenModel: Sendable {
  enum Algorithm: Sendable {
    case bytePairs(BytePairModel)
    case unigram(UnigramModel)
  }

  /// All tokens, those too that were added to the model's own.
  let vocabulary: Vocabulary
  let algorithm: Algorithm

  /// Calls `body` with parts of `word`, front to back, that can be encoded one by one with the same result.
  func forEachPart(
    of word: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    if case .bytePairs(let model) = algorithm { try model.forEachPart(of: word, body) } else { try body(word) }
  }

  /// Appends the tokens of `word` to `ids`.
  /// - Parameter check: called now and then while a long word is encoded; what it throws is thrown on.
  /// - Throws: `TokenizerFault.unknownCharacter` too.
  func encode(_ word: UnsafeRawBufferPointer, into ids: inout [Int32], check: () throws -> Void) throws {
    switch algorithm {
    case .bytePairs(let model): try model.encode(word, into: &ids, check: check)
    case .unigram(let model): try model.encode(word, into: &ids, check: check)
    }
  }
}

/// The tokens `<0x00>` to `<0xFF>` that stand for single bytes where a character has no token.
struct ByteTokens: Sendable {
  /// By byte; -1 for none.
  private let ids: [Int32]

  /// - Parameter id: the id of a token.
  init(_ id: (String) -> Int32?) { ids = (0...255).map { id(Self.name(UInt8($0))) ?? -1 } }

  static func name(_ byte: UInt8) -> String {
    "<0x" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true) + ">"
  }

  /// The byte that `token` stands for, if it does.
  static func byte(of token: some Collection<UInt8>) -> UInt8? {
    guard token.count == 6, token.starts(with: "<0x".utf8), token.dropFirst(5).first == UInt8(ascii: ">") else {
      return nil
    }
    return UInt8(String(decoding: token.dropFirst(3).prefix(2), as: UTF8.self), radix: 16)
  }

  /// Appends a token for each byte, or nothing and answers false if one is missing.
  func append(_ bytes: UnsafeRawBufferPointer, to ids: inout [Int32]) -> Bool {
    guard bytes.allSatisfy({ self.ids[Int($0)] >= 0 }) else { return false }
    for byte in bytes { ids.append(self.ids[Int(byte)]) }
    return true
  }
}
