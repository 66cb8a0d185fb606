// How text is cut into the words that merges do not cross: `pre_tokenizer` of tokenizer.json.

/// One step of a pre-tokenizer; each cuts every piece that the step before has left.
enum PreTokenizerStep: Sendable {
  /// Cuts at the matches of an expression.
  case split(Pattern, SplitBehavior, inverted: Bool)
  /// Cuts at a text that is written out; it is not empty.
  case literal([UInt8], SplitBehavior, inverted: Bool)
  /// Cuts at characters of a kind; each is a match.
  case characters(CharacterKind, SplitBehavior)
  /// Keeps runs of word characters and runs of others, without whitespace (`Whitespace`).
  case words
  /// Puts a space before each piece that does not begin with one (`ByteLevel`, `add_prefix_space`).
  case prefixSpace
  case metaspace(Metaspace)
  /// Writes bytes as characters of `ByteAlphabet` (`ByteLevel` that is not the last step).
  case byteAlphabet

  /// The expression of GPT-2 (Radford et al. 2019), which the step `ByteLevel` with `use_regex` stands for.
  static let gpt2 =
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
}

/// SentencePiece's way: a visible character for each space, and one before the text.
struct Metaspace: Sendable {
  enum Scheme: String, Sendable {
    case always, first, never
  }

  /// UTF-8 of one character, U+2581 as a rule.
  let replacement: [UInt8]
  let scheme: Scheme
  /// Whether pieces are cut before each replacement.
  let splits: Bool
}

/// Runs the steps over pieces of text, on one thread.
struct PreTokenizer {
  private let steps: [PreTokenizerStep]
  /// One for each step that matches.
  private let matchers: [Matcher?]

  init(_ steps: [PreTokenizerStep]) throws(TokenizerFault) {
    self.steps = steps
    var matchers: [Matcher?] = []
    for step in steps {
      if case .split(let pattern, _, _) = step { matchers.append(try Matcher(pattern)) } else { matchers.append(nil) }
    }
    self.matchers = matchers
  }

  /// Calls `word` with the words of `text`, front to back; none is empty.
  func forEachWord(
    of text: UnsafeRawBufferPointer, start: PieceStart, _ word: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    if !text.isEmpty { try run(0, text, start, word) }
  }

  private func run(
    _ index: Int, _ piece: UnsafeRawBufferPointer, _ start: PieceStart, _ word: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    guard index < steps.count else { return try word(piece) }
    func next(_ range: Range<Int>) throws {
      try run(
        index + 1, UnsafeRawBufferPointer(rebasing: piece[range]), range.lowerBound == 0 ? start : .inside, word)
    }
    func rewritten(_ bytes: [UInt8]) throws {
      try bytes.withUnsafeBytes { try run(index + 1, $0, start, word) }
    }
    switch steps[index] {
    case .split(_, let behavior, let inverted):
      guard let matcher = matchers[index] else { return }
      var splitter = Splitter(behavior, inverted: inverted)
      var taken = 0
      var matches = matcher.matches(in: piece)
      while let match = try matches.next() {
        if taken < match.lowerBound { try splitter.add(taken..<match.lowerBound, isMatch: false, next) }
        try splitter.add(match, isMatch: true, next)
        taken = match.upperBound
      }
      if taken < piece.count { try splitter.add(taken..<piece.count, isMatch: false, next) }
      try splitter.finish(next)
    case .literal(let literal, let behavior, let inverted):
      try split(piece, at: literal, Splitter(behavior, inverted: inverted), next)
    case .characters(let kind, let behavior):
      try split(piece, at: kind, Splitter(behavior), next)
    case .words: try splitWords(piece, next)
    case .prefixSpace:
      if piece.first == UInt8(ascii: " ") || start == .continuation {
        try run(index + 1, piece, start, word)
      } else {
        try rewritten([UInt8(ascii: " ")] + piece)
      }
    case .byteAlphabet:
      var bytes: [UInt8] = []
      ByteAlphabet.append(piece, to: &bytes)
      try rewritten(bytes)
    case .metaspace(let metaspace):
      let bytes = metaspace.rewrite(piece, start: start)
      guard metaspace.splits else { return try rewritten(bytes) }
      try bytes.withUnsafeBytes { bytes in
        try split(bytes, at: metaspace.replacement, Splitter(.mergedWithNext)) { range in
          try run(
            index + 1, UnsafeRawBufferPointer(rebasing: bytes[range]), range.lowerBound == 0 ? start : .inside, word)
        }
      }
    }
  }

  private func split(
    _ piece: UnsafeRawBufferPointer, at literal: [UInt8], _ splitter: Splitter, _ emit: (Range<Int>) throws -> Void
  ) throws {
    var splitter = splitter
    var taken = 0
    while let match = Replacer.match(of: literal, in: piece, from: taken) {
      if taken < match.lowerBound { try splitter.add(taken..<match.lowerBound, isMatch: false, emit) }
      try splitter.add(match, isMatch: true, emit)
      taken = match.upperBound
    }
    if taken < piece.count { try splitter.add(taken..<piece.count, isMatch: false, emit) }
    try splitter.finish(emit)
  }

  private func split(
    _ piece: UnsafeRawBufferPointer, at kind: CharacterKind, _ splitter: Splitter, _ emit: (Range<Int>) throws -> Void
  ) throws {
    var splitter = splitter
    var (taken, place) = (0, 0)
    while place < piece.count {
      let (scalar, width) = UTF8Text.scalar(piece, at: place)
      if kind.contains(scalar) {
        if taken < place { try splitter.add(taken..<place, isMatch: false, emit) }
        taken = place + width
        try splitter.add(place..<taken, isMatch: true, emit)
      }
      place += width
    }
    if taken < piece.count { try splitter.add(taken..<piece.count, isMatch: false, emit) }
    try splitter.finish(emit)
  }

  private func splitWords(_ piece: UnsafeRawBufferPointer, _ emit: (Range<Int>) throws -> Void) throws {
    enum Run { case space, word, other }
    var run = Run.space
    var (start, place) = (0, 0)
    while place < piece.count {
      let (scalar, width) = UTF8Text.scalar(piece, at: place)
      let here: Run =
        CharacterKind.word.contains(scalar) ? .word : CharacterKind.whitespace.contains(scalar) ? .space : .other
      if here != run {
        if run != .space { try emit(start..<place) }
        (run, start) = (here, place)
      }
      place += width
    }
    if run != .space, start < place { try emit(start..<place) }
  }
}

extension Metaspace {
  /// `piece` with its spaces replaced and one put before it if the scheme wants that.
  fileprivate func rewrite(_ piece: UnsafeRawBufferPointer, start: PieceStart) -> [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(piece.count + piece.count / 4 + replacement.count)
    let isWanted = start == .text ? scheme != .never : start == .inside && scheme == .always
    if isWanted, piece.first != UInt8(ascii: " "), !piece.starts(with: replacement) { output += replacement }
    for byte in piece { if byte == UInt8(ascii: " ") { output += replacement } else { output.append(byte) } }
    return output
  }
}
