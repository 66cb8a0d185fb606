// How text is cut into the words that merges do not cross.

/// One step of a pre-tokenizer; each cuts every piece that the step before has left.
enum PreTokenizerStep: Sendable {
  /// Cuts around every match of a pattern and keeps the matches as pieces (`Split`, behaviour `Isolated`).
  case split(Pattern)
  /// Cuts numbers out, as single characters or as runs (`Digits`).
  case digits(individual: Bool)
  /// Puts a space before each piece that does not begin with one (`ByteLevel`, `add_prefix_space`).
  case prefixSpace

  /// The expression of GPT-2 (Radford et al. 2019), which the step `ByteLevel` with `use_regex` stands for.
  static let gpt2 =
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
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
      if case .split(let pattern) = step { matchers.append(try Matcher(pattern)) } else { matchers.append(nil) }
    }
    self.matchers = matchers
  }

  /// Calls `word` with the words of `text`, front to back; none is empty.
  func forEachWord(
    of text: UnsafeRawBufferPointer, _ word: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    if !text.isEmpty { try run(0, text, word) }
  }

  private func run(
    _ index: Int, _ piece: UnsafeRawBufferPointer, _ word: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    guard index < steps.count else { return try word(piece) }
    switch steps[index] {
    case .split:
      guard let matcher = matchers[index] else { return }
      try split(piece, matcher) { part in try run(index + 1, part, word) }
    case .digits(let individual):
      try splitDigits(piece, individual) { part in try run(index + 1, part, word) }
    case .prefixSpace where piece.first == UInt8(ascii: " "):
      try run(index + 1, piece, word)
    case .prefixSpace:
      let spaced = [UInt8(ascii: " ")] + piece
      try spaced.withUnsafeBytes { try run(index + 1, $0, word) }
    }
  }

  private func split(
    _ piece: UnsafeRawBufferPointer, _ matcher: Matcher, _ part: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    func emit(_ range: Range<Int>) throws {
      if !range.isEmpty { try part(UnsafeRawBufferPointer(rebasing: piece[range])) }
    }
    var taken = 0
    var from = 0
    while from < piece.count, let match = try matcher.firstMatch(in: piece, from: from) {
      try emit(taken..<match.lowerBound)
      try emit(match)
      taken = match.upperBound
      from = match.upperBound
      if match.isEmpty {
        repeat { from += 1 } while from < piece.count && piece[from] & 0xC0 == 0x80
      }
    }
    try emit(taken..<piece.count)
  }

  private func splitDigits(
    _ piece: UnsafeRawBufferPointer, _ individual: Bool, _ part: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    var taken = 0
    var place = 0
    func emit(to end: Int) throws {
      if taken < end { try part(UnsafeRawBufferPointer(rebasing: piece[taken..<end])) }
      taken = end
    }
    var inNumber = false
    while place < piece.count {
      let (width, isNumber) = Self.character(piece, at: place)
      if isNumber ? (individual || !inNumber) : inNumber { try emit(to: place) }
      inNumber = isNumber
      place += width
    }
    try emit(to: piece.count)
  }

  /// The width of the character at `place`, and whether its general category is one of the numbers' (Nd, Nl, No).
  private static func character(_ text: UnsafeRawBufferPointer, at place: Int) -> (width: Int, isNumber: Bool) {
    let byte = text[place]
    if byte < 0x80 { return (1, byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")) }
    let width = byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
    var value = UInt32(byte) & (0xFF >> UInt32(width + 1))
    for offset in 1..<width where place + offset < text.count {
      value = value << 6 | UInt32(text[place + offset] & 0x3F)
    }
    guard let scalar = Unicode.Scalar(value) else { return (width, false) }
    switch scalar.properties.generalCategory {
    case .decimalNumber, .letterNumber, .otherNumber: return (width, true)
    default: return (width, false)
    }
  }
}
