// Byte pair encoding of one word (Sennrich et al. 2016; byte-level as in GPT-2): start from single bytes, and as long
// as any two neighbours merge, merge the pair of the lowest rank, the leftmost first.

/// A vocabulary and its merges.
struct BytePairModel: Sendable {
  let vocabulary: Vocabulary
  let merges: MergeTable
  /// A word that is a token itself is taken whole, whatever the merges say.
  let ignoreMerges: Bool
  /// What stands for a byte that has no token; without one such bytes are passed over, as Hugging Face does.
  let unknown: Int32?
  /// Several unknown bytes in a row give one `unknown`.
  let fuseUnknown: Bool
  /// The token of each byte, -1 for none.
  private let byteTokens: [Int32]

  init(vocabulary: Vocabulary, merges: MergeTable, ignoreMerges: Bool, unknown: Int32?, fuseUnknown: Bool) {
    self.vocabulary = vocabulary
    self.merges = merges
    self.ignoreMerges = ignoreMerges
    self.unknown = unknown
    self.fuseUnknown = fuseUnknown
    byteTokens = (0...255).map { (byte: UInt8) in
      var character: [UInt8] = []
      withUnsafeBytes(of: byte) { ByteAlphabet.append($0, to: &character) }
      return character.withUnsafeBytes { vocabulary.id(of: $0) } ?? -1
    }
  }

  /// Appends the tokens of `word` to `ids`.
  /// - Throws: what `check` throws, which is called now and then while a long word is encoded.
  func encode(
    _ word: UnsafeRawBufferPointer, into ids: inout [Int32], check: () throws -> Void
  ) rethrows {
    if ignoreMerges {
      var text: [UInt8] = []
      ByteAlphabet.append(word, to: &text)
      if let id = text.withUnsafeBytes({ vocabulary.id(of: $0) }) { return ids.append(id) }
    }
    var symbols = symbols(of: word)
    if symbols.count <= Self.scanLimit {
      mergeByScanning(&symbols)
      ids += symbols
    } else {
      var list = MergeList(symbols, merges)
      try list.mergeAll(into: &ids, check: check)
    }
  }

  private func symbols(of word: UnsafeRawBufferPointer) -> [Int32] {
    var symbols: [Int32] = []
    symbols.reserveCapacity(word.count)
    var afterUnknown = false
    for byte in word {
      let token = byteTokens[Int(byte)]
      if token >= 0 {
        symbols.append(token)
      } else if let unknown, !(afterUnknown && fuseUnknown) {
        symbols.append(unknown)
      }
      afterUnknown = token < 0
    }
    return symbols
  }

  /// Up to this many symbols looking at every pair again is faster than a heap.
  private static let scanLimit = 48

  private func mergeByScanning(_ symbols: inout [Int32]) {
    var pairs = zip(symbols, symbols.dropFirst()).map { merges.merge($0, $1) }
    while let best = pairs.min(), best != MergeTable.none, let at = pairs.firstIndex(of: best) {
      symbols[at] = MergeTable.id(best)
      symbols.remove(at: at + 1)
      pairs.remove(at: at)
      if at > 0 { pairs[at - 1] = merges.merge(symbols[at - 1], symbols[at]) }
      if at < pairs.count { pairs[at] = merges.merge(symbols[at], symbols[at + 1]) }
    }
  }
}
