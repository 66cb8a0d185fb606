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

  /// - Parameter tokens: with contents that are not empty; of equal ones the first counts.
  init(_ tokens: [AddedToken]) {
    self.tokens = tokens
    contents = Vocabulary(capacity: tokens.count)
    for (index, token) in tokens.enumerated() {
      var content = token.content
      content.withUTF8 { bytes in
        guard let first = bytes.first else { return }
        guard contents.insert(UnsafeRawBufferPointer(bytes), id: index) == .inserted else { return }
        lengths[Int(first)].append(bytes.count)
      }
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
      let start = token.stripsLeft ? max(Whitespace.start(of: text[taken..<max(place, taken)]), taken) : place
      if taken < start { parts.append(.text(taken..<start)) }
      parts.append(.token(token.id))
      taken = token.stripsRight ? Whitespace.end(of: text[end...]) : end
      place = end
    }
    if taken < text.count { parts.append(.text(taken..<text.count)) }
    return parts
  }

  private func match(_ text: UnsafeRawBufferPointer, at place: Int) -> (AddedToken, end: Int)? {
    for length in lengths[Int(text[place])] where length <= text.count - place {
      let candidate = UnsafeRawBufferPointer(rebasing: text[place..<place + length])
      if let index = contents.id(of: candidate) { return (tokens[Int(index)], place + length) }
    }
    return nil
  }
}

/// Unicode's White_Space in UTF-8.
private enum Whitespace {
  /// Where the whitespace at the end of `text` starts.
  static func start(of text: Slice<UnsafeRawBufferPointer>) -> Int {
    String(decoding: text, as: UTF8.self).unicodeScalars.reversed().prefix { $0.properties.isWhitespace }
      .reduce(text.endIndex) { $0 - UTF8.width($1) }
  }

  /// Where the whitespace at the start of `text` ends.
  static func end(of text: Slice<UnsafeRawBufferPointer>) -> Int {
    var end = text.startIndex
    var decoder = UTF8()
    var bytes = text.makeIterator()
    while case .scalarValue(let scalar) = decoder.decode(&bytes), scalar.properties.isWhitespace {
      end += UTF8.width(scalar)
    }
    return end
  }
}
