// The words of JSONError: what was given, what was expected, what to do next.

extension JSONError: CustomStringConvertible {
  package var description: String { message }

  package var message: String {
    switch self {
    case .empty:
      "The document is empty; expected one JSON value."
    case .tooLarge(let bytes, let limit):
      "The document has \(bytes) bytes; at most \(limit) are read. Send it in parts, or name a file instead."
    case .tooDeep(let limit, let offset):
      "Arrays and objects are nested deeper than \(limit) at byte \(offset); flatten the document."
    case .tooManyNodes(let limit, let offset):
      "The document holds more than \(limit) values (an object counts as \(JSONLimits.objectWeight)), counted up to byte"
        + " \(offset); send it in parts, or name a file."
    case .unexpected(let found, let expected, let offset):
      "Expected \(expected) at byte \(offset), found \(Self.name(found))."
    case .trailing(let found, let offset):
      "Found \(Self.name(found)) at byte \(offset), after the end of the document; expected one JSON value and no more."
    case .byteOrderMark:
      "The document begins with a byte order mark; write it as UTF-8 without one (RFC 8259, section 8.1)."
    case .leadingZero(let offset):
      "A number has a leading zero at byte \(offset); write it without, as 7 for 07."
    case .controlCharacter(let byte, let offset):
      "A string holds the control character \(Self.name(byte)) at byte \(offset);"
        + " escape it as \\u\(Self.hex4(UInt16(byte)))."
    case .invalidUTF8(let byte, let offset):
      "\(Self.name(byte)) at byte \(offset) is not valid UTF-8; write the document in UTF-8."
    case .loneSurrogate(let unit, let offset):
      "\\u\(Self.hex4(unit)) at byte \(offset) is half of a surrogate pair; write both halves, or the character itself."
    case .nulInKey(let offset):
      "A member name holds a NUL character at byte \(offset); use a name without one."
    case .integerOutOfRange(let text, let offset):
      "The integer \(text) at byte \(offset) does not fit in 64 bits; expected \(Int64.min) to \(Int64.max)."
    case .numberOutOfRange(let text, let offset):
      "The number \(text) at byte \(offset) is larger than any double;"
        + " expected at most \(Double.greatestFiniteMagnitude)."
    case .duplicateKey(let key, let offset):
      "The member \(Self.quoted(key)) at byte \(offset) is already in its object; give every member once."
    case .notFinite(let value, let path):
      "\(path) is \(value), which JSON cannot express; write it as a string or leave it out."
    case .keyNotWritable(let key, let path):
      "A member name of \(path) holds a NUL character (\(Self.quoted(key))); use a name without one."
    case .valueTooDeep(let limit):
      "The value nests arrays and objects deeper than \(limit), the most that is written; flatten it."
    case .textTooLong:
      "The value is longer than the 2 GiB that can be written as one JSON text; write it in parts."
    case .outOfMemory:
      "There is not enough memory for the JSON text; free some and try again."
    case .readerFailed(let reason, let offset):
      "The JSON reader failed at byte \(offset) on a correct document (\(reason)); please report the document."
    }
  }

  /// A byte as a message shows it.
  static func name(_ byte: UInt8?) -> String {
    guard let byte else { return "the end of the document" }
    return (0x21...0x7e).contains(byte)
      ? "'\(Character(Unicode.Scalar(byte)))'" : "byte 0x\(hex(UInt16(byte), digits: 2))"
  }

  static func hex4(_ value: UInt16) -> String { hex(value, digits: 4) }

  private static func hex(_ value: UInt16, digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
  }

  /// `text` in quotation marks, shortened, with control characters escaped.
  static func quoted(_ text: String) -> String {
    let shown = text.shortened().unicodeScalars.map { scalar in
      scalar.value < 0x20 || scalar.value == 0x7f ? "\\u" + hex4(UInt16(scalar.value)) : String(scalar)
    }
    return "\"" + shown.joined() + "\""
  }
}
