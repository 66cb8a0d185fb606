// The words of JSONError: each case once, each with its stable kind.

import Testing

@testable import JSON

struct MessageTests {
  @Test(
    arguments: [
      (.empty, "emptyDocument", "The document is empty; expected one JSON value."),
      (
        .tooLarge(bytes: 9, limit: 5), "documentTooLarge",
        "The document has 9 bytes; at most 5 are read. Send it in parts, or name a file instead."
      ),
      (
        .tooDeep(limit: 128, offset: 7), "documentTooDeep",
        "Arrays and objects are nested deeper than 128 at byte 7; flatten the document."
      ),
      (
        .tooManyNodes(limit: 4, offset: 7), "tooManyValues",
        "The document holds more than 4 values (an object counts as 8), counted up to byte 7; send it in parts, or name a file."
      ),
      (
        .unexpected(found: 0x7d, expected: "a value", offset: 3), "parseError", "Expected a value at byte 3, found '}'."
      ),
      (
        .unexpected(found: nil, expected: "a value", offset: 3), "parseError",
        "Expected a value at byte 3, found the end of the document."
      ),
      (
        .unexpected(found: 0x0a, expected: "a value", offset: 3), "parseError",
        "Expected a value at byte 3, found byte 0x0a."
      ),
      (
        .trailing(found: 0x78, offset: 2), "parseError",
        "Found 'x' at byte 2, after the end of the document; expected one JSON value and no more."
      ),
      (
        .byteOrderMark, "byteOrderMark",
        "The document begins with a byte order mark; write it as UTF-8 without one (RFC 8259, section 8.1)."
      ),
      (.leadingZero(offset: 1), "parseError", "A number has a leading zero at byte 1; write it without, as 7 for 07."),
      (
        .controlCharacter(9, offset: 4), "controlCharacter",
        "A string holds the control character byte 0x09 at byte 4; escape it as \\u0009."
      ),
      (
        .invalidUTF8(0xff, offset: 4), "invalidUTF8",
        "byte 0xff at byte 4 is not valid UTF-8; write the document in UTF-8."
      ),
      (
        .loneSurrogate(0xd83c, offset: 4), "loneSurrogate",
        "\\ud83c at byte 4 is half of a surrogate pair; write both halves, or the character itself."
      ),
      (.nulInKey(offset: 4), "nulInKey", "A member name holds a NUL character at byte 4; use a name without one."),
      (
        .integerOutOfRange("9999", offset: 4), "integerOutOfRange",
        "The integer 9999 at byte 4 does not fit in 64 bits; expected -9223372036854775808 to 9223372036854775807."
      ),
      (
        .numberOutOfRange("1e400", offset: 4), "numberOutOfRange",
        "The number 1e400 at byte 4 is larger than any double; expected at most 1.7976931348623157e+308."
      ),
      (
        .duplicateKey("a\n", offset: 4), "duplicateKey",
        "The member \"a\\u000a\" at byte 4 is already in its object; give every member once."
      ),
      (
        .notFinite(.infinity, path: "a[0]"), "notFinite",
        "a[0] is inf, which JSON cannot express; write it as a string or leave it out."
      ),
      (
        .keyNotWritable("a\0", path: "x"), "keyNotWritable",
        "A member name of x holds a NUL character (\"a\\u0000\"); use a name without one."
      ),
      (
        .valueTooDeep(limit: 128), "valueTooDeep",
        "The value nests arrays and objects deeper than 128, the most that is written; flatten it."
      ),
      (
        .textTooLong, "textTooLong",
        "The value is longer than the 2 GiB that can be written as one JSON text; write it in parts."
      ),
      (.outOfMemory, "outOfMemory", "There is not enough memory for the JSON text; free some and try again."),
      (
        .readerFailed("eof", offset: 4), "readerFailed",
        "The JSON reader failed at byte 4 on a correct document (eof); please report the document."
      ),
    ] as [(JSONError, String, String)])
  func says(_ error: JSONError, kind: String, message: String) {
    #expect(error.message == message)
    #expect(error.kind == kind)
    #expect("\(error)" == message)
  }
}
