// Reading valid UTF-8 by bytes and characters, and what Unicode says of a character.

enum UTF8Text {
  /// The character at `place` and its width in bytes. Of bytes that are no UTF-8 it reads none outside of `text`.
  static func scalar(_ text: UnsafeRawBufferPointer, at place: Int) -> (scalar: UInt32, width: Int) {
    let byte = text[place]
    if byte < 0x80 { return (UInt32(byte), 1) }
    let width = min(byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4, text.count - place)
    var value = UInt32(byte) & (0xFF >> UInt32(width + 1))
    for offset in 1..<max(width, 1) { value = value << 6 | UInt32(text[place + offset] & 0x3F) }
    return (value, width)
  }

  /// The character that `text` ends with.
  static func lastScalar(_ text: UnsafeRawBufferPointer) -> UInt32? {
    guard var place = text.indices.last else { return nil }
    while place > 0, text[place] & 0xC0 == 0x80 { place -= 1 }
    return scalar(text, at: place).scalar
  }

  /// Appends a character as UTF-8.
  static func append(_ scalar: UInt32, to text: inout [UInt8]) {
    guard let scalar = Unicode.Scalar(scalar) else { return }
    text.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
  }

  /// Whether `text` is exactly one character.
  static func isOneCharacter(_ text: [UInt8]) -> Bool {
    !text.isEmpty && text.withUnsafeBytes { scalar($0, at: 0).width } == text.count
  }

  /// Where the next stretch of `text` that starts at `place` ends, such that whatever joins characters (accents,
  /// clusters) joins none across. Only two ASCII characters in a row are sure to be apart, unless they end a line.
  static func endOfStretch(_ text: UnsafeRawBufferPointer, from place: Int) -> Int {
    var place = place
    while place < text.count {
      place += 1
      guard place < text.count else { break }
      let (before, behind) = (text[place - 1], text[place])
      if before < 0x80, behind < 0x80, !(before == 0x0D && behind == 0x0A) { break }
    }
    return place
  }

  /// How many bytes at the end of `bytes` begin a character that is not complete yet.
  static func incompleteSuffix(_ bytes: [UInt8]) -> Int {
    for count in 1...3 where count <= bytes.count {
      let lead = bytes[bytes.count - count]
      if lead & 0xC0 == 0x80 { continue }
      let width =
        switch lead {
        case 0xC2...0xDF: 2
        case 0xE0...0xEF: 3
        case 0xF0...0xF4: 4
        default: 1
        }
      guard count < width else { return 0 }
      if count == 1 { return 1 }
      let second = bytes[bytes.count - count + 1]
      let allowed: ClosedRange<UInt8> =
        switch lead {
        case 0xE0: 0xA0...0xBF
        case 0xED: 0x80...0x9F
        case 0xF0: 0x90...0xBF
        case 0xF4: 0x80...0x8F
        default: 0x80...0xBF
        }
      return allowed.contains(second) ? count : 0
    }
    return 0
  }
}

/// Kinds of characters that pre-tokenizers, normalizers and added tokens look for.
enum CharacterKind: Sendable {
  /// General categories Nd, Nl and No.
  case number
  /// ASCII's own punctuation, and general categories P.
  case punctuation
  /// White_Space.
  case whitespace
  /// Letters, marks, digits, connectors: `\w` of UTS 18, annex C.
  case word

  func contains(_ value: UInt32) -> Bool {
    guard let scalar = Unicode.Scalar(value) else { return false }
    switch self {
    case .whitespace:
      return value < 0x80 ? value == 0x20 || (0x09...0x0D).contains(value) : scalar.properties.isWhitespace
    case .number:
      if value < 0x80 { return (0x30...0x39).contains(value) }
      switch scalar.properties.generalCategory {
      case .decimalNumber, .letterNumber, .otherNumber: return true
      default: return false
      }
    case .punctuation:
      if value < 0x80 {
        return (0x21...0x2F).contains(value) || (0x3A...0x40).contains(value) || (0x5B...0x60).contains(value)
          || (0x7B...0x7E).contains(value)
      }
      switch scalar.properties.generalCategory {
      case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
        .finalPunctuation, .otherPunctuation:
        return true
      default: return false
      }
    case .word:
      if value < 0x80 {
        return (0x30...0x39).contains(value) || (0x41...0x5A).contains(value) || (0x61...0x7A).contains(value)
          || value == 0x5F
      }
      let properties = scalar.properties
      if properties.isAlphabetic || properties.isJoinControl { return true }
      switch properties.generalCategory {
      case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: return true
      default: return false
      }
    }
  }
}
