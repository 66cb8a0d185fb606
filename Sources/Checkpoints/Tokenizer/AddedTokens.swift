// Tokens that are cut out of a text before anything else sees it: special tokens, and words added to a vocabulary.

/// A token with the flags of tokenizer.json.
struct AddedToken: Sendable {
  let id: Int32
  let content: String
  /// Left out when decoding without special tokens.
  var special = true
  /// Takes the whitespace before or behind it along.
  var stripsLeft = false
  var stripsRight = false
  /// Is found as a word of its own only.
  var isSingleWord = false
  /// What is looked for, if that is not the content: the content after normalisation.
  var target: [UInt8]?
}

/// Finds a set of added tokens in text: at each place the longest, from left to right.
struct AddedTokens: Sendable {
  /// A part of a text: an added token, or what lies between two.
  enum Part: Equatable {
    case token(Int32)
    case text(Range<Int>)
  }

  /// Indices into `tokens`, by content.
  private var contents: Vocabulary
  private var tokens: [AddedToken]
  /// The lengths of tokens by their first byte, longest first.
  private var lengths: [[Int]] = Array(repeating: [], count: 256)

  /// - Parameter tokens: those of which nothing is looked for are passed over; of equal ones the first counts.
  init(_ tokens: [AddedToken]) {
    self.tokens = tokens
    contents = Vocabulary(capacity: tokens.count)
    for (index, token) in tokens.enumerated() {
      let target = token.target ?? Array(token.content.utf8)
      guard let first = target.first else { continue }
      guard target.withUnsafeBytes({ contents.insert($0, id: index) }) == .inserted else { continue }
      lengths[Int(first)].append(target.count)
    }
    for index in lengths.indices { lengths[index] = Set(lengths[index]).sorted(by: >) }
  }

  /// The parts of `text` in order; parts of text are not empty.
  func parts(of text: UnsafeRawBufferPointer) -> [Part] {
    if tokens.isEmpty { return text.isEmpty ? [] : [.text(0..<text.count)] }
    var parts: [Part] = []
    var taken = 0  // up to here text is in parts
    var place = 0
    while place < text.count {
      guard let (token, end) = match(text, at: place) else {
        place += 1
        continue
      }
      if token.isSingleWord, Self.touchesWord(text, place..<end) {
        place = end
        continue
      }
      let start = token.stripsLeft ? max(Whitespace.start(of: text[taken..<max(place, taken)]), taken) : place
      if taken < start { parts.append(.text(taken..<start)) }
      parts.append(.token(token.id))
      taken = token.stripsRight ? Whitespace.end(of: text[end...]) : end
      place = end
    }
    if taken < text.count { parts.append(.text(taken..<text.count)) }
    return parts
  }

  /// Whether a character of a word lies before or behind `range`.
  private static func touchesWord(_ text: UnsafeRawBufferPointer, _ range: Range<Int>) -> Bool {
    let before = UTF8Text.lastScalar(UnsafeRawBufferPointer(rebasing: text[..<range.lowerBound]))
    if let before, CharacterKind.word.contains(before) { return true }
    guard range.upperBound < text.count else { return false }
    return CharacterKind.word.contains(UTF8Text.scalar(text, at: range.upperBound).scalar)
  }

  private func match(_ text: UnsafeRawBufferPointer, at place: Int) -> (AddedToken, end: Int)? {
    for length in lengths[Int(text[place])] where length <= text.count - place {
      let candidate = UnsafeRawBufferPointer(rebasing: text[place..<place + length])
      if let index = contents.id(of: candidate) { return (tokens[Int(index)], place + length) }
    }
    return nil
  }
}

/// Whitespace at the edges of text.
private enum Whitespace {
  /// Where the whitespace at the end of `text` starts.
  static func start(of text: Slice<UnsafeRawBufferPointer>) -> Int {
    var end = text.endIndex
    while end > text.startIndex {
      var place = end - 1
      while place > text.startIndex, text[place] & 0xC0 == 0x80 { place -= 1 }
      guard CharacterKind.whitespace.contains(UTF8Text.scalar(text.base, at: place).scalar) else { break }
      end = place
    }
    return end
  }

  /// Where the whitespace at the start of `text` ends.
  static func end(of text: Slice<UnsafeRawBufferPointer>) -> Int {
    var end = text.startIndex
    while end < text.endIndex {
      let (scalar, width) = UTF8Text.scalar(text.base, at: end)
      guard CharacterKind.whitespace.contains(scalar) else { break }
      end += width
    }
    return end
  }
}
