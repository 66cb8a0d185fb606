// The fields of a header section (RFC 7230, section 3.2): names in any case, optional whitespace around the value.
// Pure: one line in, what it says or what is wrong with it out.

/// What a header section has said so far.
struct FrameHeader: Equatable {
  /// Content-Length in decimal digits without leading zeros; it may exceed every integer.
  private(set) var lengthText: String?
  /// The charset of Content-Type in lower case.
  private(set) var charset: String?
  private(set) var fieldCount = 0

  /// Content-Length, if it was given and fits.
  var length: Int? { lengthText.flatMap { Int($0) } }

  /// Whether the body is in UTF-8, as it is unless said otherwise; `utf8` is what old clients write (LSP 3.17).
  var isUTF8: Bool { charset == nil || charset == "utf-8" || charset == "utf8" }

  /// Takes in one line, without its line break.
  mutating func add(_ line: some BidirectionalCollection<UInt8>) throws(FrameProblem) {
    fieldCount += 1
    guard Self.beginsField(line), let colon = line.firstIndex(of: 0x3a),
      line[colon...].allSatisfy(Self.isValueCharacter)
    else { throw .invalidHeader(Self.shortened(line)) }
    let value = Self.trimmed(String(decoding: line[line.index(after: colon)...], as: UTF8.self))
    let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
    switch name {
    case "content-length": try addLength(value)
    case "content-type": charset = Self.charset(ofContentType: value)
    default:
      // Not a field of that name, but a field with the end of something else in front of it.
      let isRunTogether = name.hasSuffix("content-length") && !name.hasSuffix("-content-length")
      if isRunTogether { throw .invalidHeader(Self.shortened(line)) }
    }
  }

  private mutating func addLength(_ value: String) throws(FrameProblem) {
    guard !value.isEmpty, value.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
      throw .invalidContentLength(Self.shortened(value.utf8))
    }
    let digits = String(value.drop { $0 == "0" })
    let text = digits.isEmpty ? "0" : digits
    if let lengthText, lengthText != text {
      throw .conflictingContentLength(Self.shortened(lengthText.utf8), Self.shortened(text.utf8))
    }
    lengthText = text
  }

  /// The charset parameter of a media type (RFC 7231, section 3.1.1.1), which may be quoted.
  private static func charset(ofContentType value: String) -> String? {
    for parameter in value.split(separator: ";").dropFirst() {
      let parts = parameter.split(separator: "=", maxSplits: 1).map { trimmed(String($0)) }
      if parts.count == 2, parts[0].lowercased() == "charset" {
        return parts[1].filter { $0 != "\"" }.lowercased()
      }
    }
    return nil
  }

  /// Whether `line` begins with a field name and its colon.
  static func beginsField(_ line: some Collection<UInt8>) -> Bool {
    let name = line.prefix(while: isTokenCharacter)
    return !name.isEmpty && name.endIndex < line.endIndex && line[name.endIndex] == 0x3a
  }

  /// `tchar` of RFC 7230, section 3.2.6.
  private static func isTokenCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
    case 0x21, 0x23...0x27, 0x2a, 0x2b, 0x2d, 0x2e, 0x5e...0x60, 0x7c, 0x7e: true
    default: false
    }
  }

  /// Visible characters, space and tab; LSP headers are ASCII.
  private static func isValueCharacter(_ byte: UInt8) -> Bool { (0x20...0x7e).contains(byte) || byte == 0x09 }

  private static func trimmed(_ text: String) -> String {
    var bytes = text.utf8[...]
    while let first = bytes.first, first == 0x20 || first == 0x09 { bytes.removeFirst() }
    while let last = bytes.last, last == 0x20 || last == 0x09 { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// At most 40 bytes as printable ASCII.
  static func shortened(_ bytes: some Collection<UInt8>) -> String {
    let shown = bytes.prefix(40).map { (0x20...0x7e).contains($0) ? $0 : 0x3f }
    return String(decoding: shown, as: UTF8.self) + (bytes.count > 40 ? "..." : "")
  }
}
