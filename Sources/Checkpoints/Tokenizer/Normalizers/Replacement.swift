// Replacing whatever matches a pattern: a step of normalizers, and with a literal pattern one of decoders.

struct Replacement: Sendable {
  enum Target: Sendable {
    /// Bytes of UTF-8, at least one.
    case literal([UInt8])
    case expression(Pattern)
  }

  let target: Target
  let content: [UInt8]
}

/// Replaces, on one thread.
struct Replacer {
  private let replacement: Replacement
  private let matcher: Matcher?

  init(_ replacement: Replacement) throws(TokenizerFault) {
    self.replacement = replacement
    if case .expression(let pattern) = replacement.target {
      matcher = try Matcher(pattern)
    } else {
      matcher = nil
    }
  }

  /// - Throws: `TokenizerFault.textTooLong`, `.patternGaveUp`.
  func replace(_ piece: inout TextPiece) throws(TokenizerFault) {
    let content = replacement.content
    let text = piece.bytes
    var output: [UInt8] = []
    output.reserveCapacity(text.count)
    var taken = 0
    var start = piece.start
    func take(_ match: Range<Int>) throws(TokenizerFault) {
      // `tokenizers` counts the new text to the last of the characters that it replaces.
      let characters = text[match].count { $0 & 0xC0 != 0x80 }
      if match.lowerBound == 0, characters > 1 || characters == 1 && content.isEmpty, start == .text {
        start = .inside
      }
      output += text[taken..<match.lowerBound]
      output += content
      taken = match.upperBound
      try Normalizer.check(output.count)
    }
    let result = text.withUnsafeBytes { bytes in
      Result { () throws(TokenizerFault) in
        switch replacement.target {
        case .literal(let literal):
          var place = 0
          while let match = Self.match(of: literal, in: bytes, from: place) {
            try take(match)
            place = match.upperBound
          }
        case .expression:
          var matches = matcher?.matches(in: bytes)
          while let match = try matches?.next() { try take(match) }
        }
      }
    }
    try result.get()
    if taken == 0, output.isEmpty { return }
    output += text[taken...]
    try Normalizer.check(output.count)
    piece = TextPiece(bytes: output, start: start)
  }

  /// The first place of `literal` in `text` at `start` or behind.
  static func match(of literal: [UInt8], in text: UnsafeRawBufferPointer, from start: Int) -> Range<Int>? {
    guard let first = literal.first else { return nil }
    var place = start
    while place + literal.count <= text.count {
      if text[place] == first, text[place..<place + literal.count].elementsEqual(literal) {
        return place..<place + literal.count
      }
      place += 1
    }
    return nil
  }
}
