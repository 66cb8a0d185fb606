// Text that a plugin hands over, copied with bounds before anyone looks at it.

import Glibc

enum ForeignText {
  /// A copy of the text at `pointer`, a field that has at most `limit` bytes.
  /// - Throws: `fieldInvalid` if it is NULL, longer, not UTF-8 or contains control characters.
  static func required(
    _ pointer: UnsafePointer<CChar>?, field: String, limit: Int
  ) throws(PluginRejection) -> String {
    guard let text = try optional(pointer, field: field, limit: limit), !text.isEmpty else {
      throw .fieldInvalid(field: field, problem: "is missing or empty")
    }
    return text
  }

  /// As `required`, but nil if the pointer is NULL or the text empty.
  static func optional(
    _ pointer: UnsafePointer<CChar>?, field: String, limit: Int
  ) throws(PluginRejection) -> String? {
    guard let pointer else { return nil }
    let length = strnlen(pointer, limit + 1)
    guard length <= limit else { throw .fieldInvalid(field: field, problem: "has more than \(limit) bytes") }
    let bytes = UnsafeRawBufferPointer(start: pointer, count: length)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw .fieldInvalid(field: field, problem: "is not UTF-8")
    }
    guard !text.unicodeScalars.contains(where: isControl) else {
      throw .fieldInvalid(field: field, problem: "contains control characters")
    }
    return text.isEmpty ? nil : text
  }

  /// What can be made of at most `limit` bytes at `pointer`, for logs and messages: never refused, but repaired where
  /// it is not UTF-8, and with spaces for control characters.
  static func repaired(_ pointer: UnsafePointer<CChar>?, limit: Int) -> String {
    guard let pointer else { return "" }
    return repaired(UnsafeRawBufferPointer(start: pointer, count: strnlen(pointer, limit)))
  }

  /// The same for a text that ends at its first zero byte or with the buffer.
  static func repaired(_ bytes: UnsafeRawBufferPointer) -> String {
    let text = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    var scalars = String.UnicodeScalarView()
    for scalar in text.unicodeScalars { scalars.append(isControl(scalar) ? " " : scalar) }
    return String(scalars)
  }

  /// True for `activation-norm`, `wanda`: lower-case words of letters and digits, the first begins with a letter.
  static func isKebabCase(_ text: String) -> Bool {
    guard let first = text.utf8.first, isLower(first) else { return false }
    let words = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
    return words.allSatisfy { word in !word.isEmpty && word.allSatisfy { isLower($0) || isDigit($0) } }
  }

  /// True for `normExponent`: ASCII letters and digits, the first a lower-case letter.
  static func isCamelCase(_ text: String) -> Bool {
    guard let first = text.utf8.first, isLower(first) else { return false }
    return text.utf8.allSatisfy { isLower($0) || isLower($0 | 0x20) || isDigit($0) }
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.generalCategory == .control
  }
  private static func isLower(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }
  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
