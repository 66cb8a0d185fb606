// Byte pair encoding of one word (Sennrich et al. 2016): start from single bytes (GPT-2) or characters (SentencePiece),
// and as long as any two neighbours merge, merge the pair of the lowest rank, the leftmost first.

/// A vocabulary and its merges.
struct BytePairModel: Sendable {
  /// What a word is made of before anything merges.
  enum Alphabet: Sendable {
    /// Bytes; the vocabulary writes each as a character of `ByteAlphabet`.
    case bytes
    /// Unicode characters.
    case characters
  }

  struct Options: Sendable {
    var alphabet = Alphabet.bytes
    /// A word that is a token itself is taken whole, whatever the merges say.
    var ignoreMerges = false
    /// What stands for a symbol that has no token; without one such symbols are passed over, as Hugging Face does.
    var unknown: Int32?
    /// Several unknown symbols in a row give one `unknown`.
    var fuseUnknown = false
    /// A character without token becomes the tokens of its bytes, `<0xNN>`, if there are all of them.
    var byteFallback = false
    /// Tokens that are in the vocabulary but not in the model: it never makes them.
    var foreign: Set<Int32> = []
  }

  let vocabulary: Vocabulary
  let merges: MergeTable
  let options: Options
  private let symbols: SymbolTable
  private let byteTokens: ByteTokens?
  private let seams: MergeSeams?

  init(vocabulary: Vocabulary, merges: MergeTable, options: Options = Options()) {
    self.vocabulary = vocabulary
    self.merges = merges
    self.options = options
    symbols = SymbolTable(options.alphabet, vocabulary, without: options.foreign)
    byteTokens =
      options.byteFallback
      ? ByteTokens { token in vocabulary.id(of: token).flatMap { options.foreign.contains($0) ? nil : $0 } } : nil
    seams = options.alphabet == .characters && !options.ignoreMerges ? MergeSeams(merges, vocabulary) : nil
  }

  /// Calls `body` with parts of `word` between which nothing merges. Without this a text of a tokenizer that knows no
  /// words would be one word as long as itself.
  func forEachPart(
    of word: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Void
  ) rethrows {
    guard let seams else { return try body(word) }
    var start = 0
    var place = 0
    var last: UInt32?  // the character before `place` if it has a token
    while place < word.count {
      let (scalar, width) = UTF8Text.scalar(word, at: place)
      let known = symbols.id(of: scalar) >= 0
      if known, let last, !seams.mayMerge(last, scalar) {
        try body(UnsafeRawBufferPointer(rebasing: word[start..<place]))
        start = place
      }
      last = known ? scalar : nil
      place += width
    }
    if start < word.count { try body(UnsafeRawBufferPointer(rebasing: word[start...])) }
  }

  /// Appends the tokens of `word` to `ids`.
  /// - Throws: what `check` throws, which is called now and then while a long word is encoded.
  func encode(
    _ word: UnsafeRawBufferPointer, into ids: inout [Int32], check: () throws -> Void
  ) rethrows {
    if options.ignoreMerges, let id = wholeToken(word) { return ids.append(id) }
    var symbols = symbols(of: word)
    if symbols.count <= Self.scanLimit {
      mergeByScanning(&symbols)
      ids += symbols
    } else {
      var list = MergeList(symbols, merges)
      try list.mergeAll(into: &ids, check: check)
    }
  }

  private func wholeToken(_ word: UnsafeRawBufferPointer) -> Int32? {
    let id: Int32?
    switch options.alphabet {
    case .characters: id = vocabulary.id(of: word)
    case .bytes:
      var text: [UInt8] = []
      ByteAlphabet.append(word, to: &text)
      id = text.withUnsafeBytes { vocabulary.id(of: $0) }
    }
    return id.flatMap { options.foreign.contains($0) ? nil : $0 }
  }

  /// An unknown symbol is held back until a known one follows, over bytes that stand in for other symbols: so does
  /// Hugging Face, where it matters only to vocabularies with some of the byte tokens.
  private func symbols(of word: UnsafeRawBufferPointer) -> [Int32] {
    var ids: [Int32] = []
    ids.reserveCapacity(word.count)
    var held = false
    var place = 0
    while place < word.count {
      let (symbol, width) = options.alphabet == .bytes ? (UInt32(word[place]), 1) : UTF8Text.scalar(word, at: place)
      let token = symbols.id(of: symbol)
      let bytes = UnsafeRawBufferPointer(rebasing: word[place..<place + width])
      place += width
      if token >= 0 {
        if held, let unknown = options.unknown { ids.append(unknown) }
        held = false
        ids.append(token)
      } else if let byteTokens, byteTokens.append(bytes, to: &ids) {
        continue
      } else if let unknown = options.unknown {
        if held, !options.fuseUnknown { ids.append(unknown) }
        held = true
      }
    }
    if held, let unknown = options.unknown { ids.append(unknown) }
    return ids
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
