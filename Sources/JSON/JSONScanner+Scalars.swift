// The scalars of RFC 8259: words, numbers (section 6), strings (section 7) and the UTF-8 inside them.

extension JSONScanner {
  mutating func scanWord(_ word: StaticString) throws(JSONError) {
    for index in 0..<word.utf8CodeUnitCount {
      guard current == word.utf8Start[index] else { throw unexpected("'\(word)'") }
      position += 1
    }
  }

  /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`, within the range of its kind.
  mutating func scanNumber() throws(JSONError) {
    let start = position
    if current == 0x2d { position += 1 }
    if current == 0x30 {
      position += 1
      if isDigit(current) { throw .leadingZero(offset: position - 1) }
    } else {
      try scanDigits("a digit")
    }
    let digits = position - start
    var isInteger = true
    var exponentDigits = 0
    if current == 0x2e {
      isInteger = false
      position += 1
      try scanDigits("a digit after the decimal point")
    }
    if current == 0x65 || current == 0x45 {
      isInteger = false
      position += 1
      if current == 0x2b || current == 0x2d { position += 1 }
      let exponent = position
      try scanDigits("a digit in the exponent")
      exponentDigits = position - exponent
    }
    // Short numbers cannot leave their range; only the others are worth a conversion.
    if isInteger, digits > 18, Int64(text(start..<position)) == nil {
      throw .integerOutOfRange(shortened(start..<position), offset: start)
    }
    if !isInteger, digits > 200 || exponentDigits > 2, Double(text(start..<position))?.isFinite != true {
      throw .numberOutOfRange(shortened(start..<position), offset: start)
    }
  }

  private mutating func scanDigits(_ expected: String) throws(JSONError) {
    guard isDigit(current) else { throw unexpected(expected) }
    while isDigit(current) { position += 1 }
  }

  private func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

  private func text(_ place: Range<Int>) -> String { String(decoding: bytes[place], as: UTF8.self) }

  private func shortened(_ place: Range<Int>) -> String {
    place.count <= 40 ? text(place) : text(place.prefix(40)) + "..."
  }

  /// A string from its opening to its closing quotation mark.
  mutating func scanString(isName: Bool) throws(JSONError) {
    position += 1
    while position < bytes.count {
      let byte = bytes[position]
      if byte == 0x22 {
        position += 1
        return
      } else if byte == 0x5c {
        try scanEscape(isName: isName)
      } else if byte < 0x20 {
        throw .controlCharacter(byte, offset: position)
      } else if byte < 0x80 {
        position += 1
      } else {
        try scanMultibyte(byte)
      }
    }
    throw unexpected("'\"' at the end of a string")
  }

  private mutating func scanEscape(isName: Bool) throws(JSONError) {
    let start = position
    position += 1
    switch current {
    case 0x22, 0x5c, 0x2f, 0x62, 0x66, 0x6e, 0x72, 0x74: position += 1
    case 0x75:
      let unit = try scanHexUnit()
      switch unit {
      case 0 where isName: throw .nulInKey(offset: start)
      case 0xdc00...0xdfff: throw .loneSurrogate(unit, offset: start)
      case 0xd800...0xdbff:
        let low = position
        guard current == 0x5c, low + 1 < bytes.count, bytes[low + 1] == 0x75 else {
          throw .loneSurrogate(unit, offset: start)
        }
        position += 1
        guard (0xdc00...0xdfff).contains(try scanHexUnit()) else { throw .loneSurrogate(unit, offset: start) }
      default: break
      }
    default: throw unexpected("one of \" \\ / b f n r t u after a backslash")
    }
  }

  /// `u` and four hexadecimal digits.
  private mutating func scanHexUnit() throws(JSONError) -> UInt16 {
    position += 1
    var unit: UInt16 = 0
    for _ in 0..<4 {
      switch current {
      case 0x30...0x39: unit = unit << 4 | UInt16(current - 0x30)
      case 0x41...0x46: unit = unit << 4 | UInt16(current - 0x41 + 10)
      case 0x61...0x66: unit = unit << 4 | UInt16(current - 0x61 + 10)
      default: throw unexpected("four hexadecimal digits after \\u")
      }
      position += 1
    }
    return unit
  }

  /// A well-formed UTF-8 sequence of two to four bytes (Unicode 15, table 3-7): no overlong forms, no surrogates,
  /// nothing above U+10FFFF.
  private mutating func scanMultibyte(_ lead: UInt8) throws(JSONError) {
    let length: Int
    var second: ClosedRange<UInt8> = 0x80...0xbf
    switch lead {
    case 0xc2...0xdf: length = 2
    case 0xe0: (length, second) = (3, 0xa0...0xbf)
    case 0xed: (length, second) = (3, 0x80...0x9f)
    case 0xe1...0xef: length = 3
    case 0xf0: (length, second) = (4, 0x90...0xbf)
    case 0xf4: (length, second) = (4, 0x80...0x8f)
    case 0xf1...0xf3: length = 4
    default: throw .invalidUTF8(lead, offset: position)
    }
    position += 1
    for index in 1..<length {
      guard position < bytes.count else { throw unexpected("the rest of a UTF-8 character") }
      guard (index == 1 ? second : 0x80...0xbf).contains(current) else { throw .invalidUTF8(current, offset: position) }
      position += 1
    }
  }
}
