// Every production of RFC 8259 with documents that must be read and documents that must be refused, among them
// everything that json-c alone would let pass.

import Testing

@testable import JSON

struct GrammarTests {
  struct Accepted: Sendable, CustomTestStringConvertible {
    let text: String
    let value: JSON
    init(_ text: String, _ value: JSON) { (self.text, self.value) = (text, value) }
    var testDescription: String { text }
  }

  @Test(arguments: [
    // Words and whitespace.
    Accepted("null", nil), Accepted("true", true), Accepted("false", false),
    Accepted(" \t\r\n true \t\r\n ", true), Accepted("[ ]", []), Accepted("{ }", [:]),
    Accepted(" [ 1 , 2 ] ", [1, 2]), Accepted(" { \"a\" : 1 , \"b\" : 2 } ", ["a": 1, "b": 2]),
    // Integers: exact within 64 bits.
    Accepted("0", 0), Accepted("-0", 0), Accepted("7", 7), Accepted("-7", -7), Accepted("10", 10),
    Accepted("9007199254740993", 9_007_199_254_740_993),
    Accepted("9223372036854775807", .integer(.max)), Accepted("-9223372036854775808", .integer(.min)),
    // Numbers with fraction or exponent.
    Accepted("0.0", 0.0), Accepted("1.0", 1.0), Accepted("-1.5", -1.5), Accepted("0.1", 0.1),
    Accepted("1e5", 1e5), Accepted("1E5", 1e5), Accepted("1e+5", 1e5), Accepted("1e-5", 1e-5),
    Accepted("0e1", 0.0), Accepted("0E-1", 0.0), Accepted("123.456e-7", 123.456e-7), Accepted("1e05", 1e5),
    Accepted("1.7976931348623157e308", .number(.greatestFiniteMagnitude)),
    Accepted("5e-324", .number(.leastNonzeroMagnitude)), Accepted("1e-999", 0.0), Accepted("2.5e0000000001", 25.0),
    Accepted("100000000000000000000.0", 1e20), Accepted("0.30000000000000004", 0.30000000000000004),
    // Strings.
    Accepted(#""""#, ""), Accepted(#""a b""#, "a b"), Accepted(#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
    Accepted(#""\u0041\u00e9\u20AC""#, "Aé€"), Accepted(#""\ud83c\udf33""#, "🌳"), Accepted(#""\uD83C\uDF33""#, "🌳"),
    Accepted(#""a\u0000b""#, "a\0b"), Accepted(#""é€🌳""#, "é€🌳"), Accepted("\"\u{7f}\"", "\u{7f}"),
    Accepted("\"\u{10ffff}\u{fffe}\u{ffff}\"", "\u{10ffff}\u{fffe}\u{ffff}"), Accepted(#""\ufeff""#, "\u{feff}"),
    Accepted("\"\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{10000}\"", "\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{10000}"),
    Accepted(#""//""#, "//"), Accepted(#""\/""#, "/"), Accepted(#""'""#, "'"),
    // Containers.
    Accepted("[]", []), Accepted("[[]]", [[]]), Accepted("[null]", [nil]),
    Accepted("[1,[2,{\"a\":[3]}],4]", [1, [2, ["a": [3]]], 4]),
    Accepted("{}", [:]), Accepted(#"{"":0}"#, ["": 0]), Accepted(#"{"a":{"a":{"a":null}}}"#, ["a": ["a": ["a": nil]]]),
    Accepted(#"{"a":1,"A":2}"#, ["a": 1, "A": 2]), Accepted(#"[{"a":1},{"a":1}]"#, [["a": 1], ["a": 1]]),
  ])
  func accepts(_ sample: Accepted) throws {
    #expect(try JSON.parse(sample.text) == sample.value)
  }

  struct Refused: Sendable, CustomTestStringConvertible {
    let bytes: [UInt8]
    let error: JSONError
    init(_ text: String, _ error: JSONError) { (bytes, self.error) = (Array(text.utf8), error) }
    init(_ bytes: [UInt8], _ error: JSONError) { (self.bytes, self.error) = (bytes, error) }
    var testDescription: String { String(decoding: bytes, as: UTF8.self) }
  }

  static func found(_ found: Character?, _ expected: String, at offset: Int) -> JSONError {
    .unexpected(found: found?.asciiValue, expected: expected, offset: offset)
  }

  @Test(arguments: [
    Refused("", .empty), Refused(" \n", .empty), Refused("\u{feff}1", .byteOrderMark),
    // Words.
    Refused("nul", found(nil, "'null'", at: 3)), Refused("nulL", found("L", "'null'", at: 3)),
    Refused("True", found("T", "a value", at: 0)), Refused("TRUE", found("T", "a value", at: 0)),
    Refused("tru", found(nil, "'true'", at: 3)), Refused("truth", found("t", "'true'", at: 3)),
    Refused("fals", found(nil, "'false'", at: 4)), Refused("nullx", .trailing(found: 0x78, offset: 4)),
    Refused("NULL", found("N", "a value", at: 0)), Refused("undefined", found("u", "a value", at: 0)),
    Refused("NaN", found("N", "a value", at: 0)), Refused("nan", found("a", "'null'", at: 1)),
    Refused("Infinity", found("I", "a value", at: 0)), Refused("-Infinity", found("I", "a digit", at: 1)),
    Refused("inf", found("i", "a value", at: 0)), Refused("[NaN]", found("N", "a value", at: 1)),
    // Numbers.
    Refused("01", .leadingZero(offset: 0)), Refused("-01", .leadingZero(offset: 1)),
    Refused("00", .leadingZero(offset: 0)),
    Refused("[-012]", .leadingZero(offset: 2)), Refused("-", found(nil, "a digit", at: 1)),
    Refused("+1", found("+", "a value", at: 0)), Refused("--1", found("-", "a digit", at: 1)),
    Refused(".5", found(".", "a value", at: 0)), Refused("-.5", found(".", "a digit", at: 1)),
    Refused("2.", found(nil, "a digit after the decimal point", at: 2)),
    Refused("[2.]", found("]", "a digit after the decimal point", at: 3)),
    Refused("2.e3", found("e", "a digit after the decimal point", at: 2)),
    Refused("1e", found(nil, "a digit in the exponent", at: 2)),
    Refused("1e+", found(nil, "a digit in the exponent", at: 3)),
    Refused("1eE2", found("E", "a digit in the exponent", at: 2)), Refused("1e1.5", .trailing(found: 0x2e, offset: 3)),
    Refused("1.2.3", .trailing(found: 0x2e, offset: 3)), Refused("0x1F", .trailing(found: 0x78, offset: 1)),
    Refused("1_000", .trailing(found: 0x5f, offset: 1)), Refused("1 000", .trailing(found: 0x30, offset: 2)),
    Refused("- 1", .unexpected(found: 0x20, expected: "a digit", offset: 1)),
    Refused("1f", .trailing(found: 0x66, offset: 1)),
    Refused("9223372036854775808", .integerOutOfRange("9223372036854775808", offset: 0)),
    Refused("[-9223372036854775809]", .integerOutOfRange("-9223372036854775809", offset: 1)),
    Refused("18446744073709551615", .integerOutOfRange("18446744073709551615", offset: 0)),
    Refused("1e309", .numberOutOfRange("1e309", offset: 0)),
    Refused("[-1e400]", .numberOutOfRange("-1e400", offset: 1)),
    Refused("0.1e99999999999999999999", .numberOutOfRange("0.1e99999999999999999999", offset: 0)),
    // Strings.
    Refused("\"", found(nil, "'\"' at the end of a string", at: 1)),
    Refused("\"abc", found(nil, "'\"' at the end of a string", at: 4)),
    Refused("'a'", found("'", "a value", at: 0)),
    Refused("{'a':1}", found("'", "a member name in double quotes", at: 1)),
    Refused("[\"a']", found(nil, "'\"' at the end of a string", at: 5)),
    Refused("\"a\nb\"", .controlCharacter(0x0a, offset: 2)), Refused("\"a\tb\"", .controlCharacter(0x09, offset: 2)),
    Refused("\"\0\"", .controlCharacter(0, offset: 1)), Refused("\"\u{1f}\"", .controlCharacter(0x1f, offset: 1)),
    Refused(#""\x41""#, found("x", "one of \" \\ / b f n r t u after a backslash", at: 2)),
    Refused(#""\'""#, found("'", "one of \" \\ / b f n r t u after a backslash", at: 2)),
    Refused(#""\U0041""#, found("U", "one of \" \\ / b f n r t u after a backslash", at: 2)),
    Refused("\"\\", found(nil, "one of \" \\ / b f n r t u after a backslash", at: 2)),
    Refused(#""\u12""#, found("\"", "four hexadecimal digits after \\u", at: 5)),
    Refused(#""\u12g4""#, found("g", "four hexadecimal digits after \\u", at: 5)),
    Refused(#""\u+123""#, found("+", "four hexadecimal digits after \\u", at: 3)),
    Refused(#""\ud83c""#, .loneSurrogate(0xd83c, offset: 1)), Refused(#""\udf33""#, .loneSurrogate(0xdf33, offset: 1)),
    Refused(#""\ud83c\n""#, .loneSurrogate(0xd83c, offset: 1)),
    Refused(#""\ud83cx""#, .loneSurrogate(0xd83c, offset: 1)),
    Refused(#""\ud83c\u0041""#, .loneSurrogate(0xd83c, offset: 1)),
    Refused(#""\ud83c\ud83c""#, .loneSurrogate(0xd83c, offset: 1)),
    Refused(#""\udf33\ud83c""#, .loneSurrogate(0xdf33, offset: 1)), Refused(#"{"a\u0000":1}"#, .nulInKey(offset: 3)),
    // Containers.
    Refused("[", found(nil, "a value", at: 1)), Refused("]", found("]", "a value", at: 0)),
    Refused("[1", found(nil, "',' or ']' after an element", at: 2)), Refused("[1,]", found("]", "a value", at: 3)),
    Refused("[,1]", found(",", "a value", at: 1)), Refused("[1,,2]", found(",", "a value", at: 3)),
    Refused("[1 2]", found("2", "',' or ']' after an element", at: 3)),
    Refused("[1}", found("}", "',' or ']' after an element", at: 2)),
    Refused("[1:2]", found(":", "',' or ']' after an element", at: 2)),
    Refused("[]]", .trailing(found: 0x5d, offset: 2)),
    Refused("{", found(nil, "a member name in double quotes", at: 1)), Refused("}", found("}", "a value", at: 0)),
    Refused("{a:1}", found("a", "a member name in double quotes", at: 1)),
    Refused("{1:1}", found("1", "a member name in double quotes", at: 1)),
    Refused(#"{"a"}"#, found("}", "':' after a member name", at: 4)),
    Refused(#"{"a" 1}"#, found("1", "':' after a member name", at: 5)),
    Refused(#"{"a"=1}"#, found("=", "':' after a member name", at: 4)),
    Refused(#"{"a":}"#, found("}", "a value", at: 5)),
    Refused(#"{"a"::1}"#, found(":", "a value", at: 5)),
    Refused(#"{"a":1,}"#, found("}", "a member name in double quotes", at: 7)),
    Refused(#"{,"a":1}"#, found(",", "a member name in double quotes", at: 1)),
    Refused(#"{"a":1 "b":2}"#, found("\"", "',' or '}' after a member", at: 7)),
    Refused(#"{"a":1]"#, found("]", "',' or '}' after a member", at: 6)),
    Refused(#"{"a":1"#, found(nil, "',' or '}' after a member", at: 6)),
    Refused(#"{null:1}"#, found("n", "a member name in double quotes", at: 1)),
    Refused("{[]:1}", found("[", "a member name in double quotes", at: 1)),
    // Around the document.
    Refused("1 1", .trailing(found: 0x31, offset: 2)), Refused("{} {}", .trailing(found: 0x7b, offset: 3)),
    Refused("[]x", .trailing(found: 0x78, offset: 2)), Refused("1,", .trailing(found: 0x2c, offset: 1)),
    Refused("1\0", .trailing(found: 0, offset: 1)), Refused("\"\"\0", .trailing(found: 0, offset: 2)),
    Refused("\0", found("\0", "a value", at: 0)),
    Refused("/* c */ 1", found("/", "a value", at: 0)), Refused("[1, // c\n2]", found("/", "a value", at: 4)),
    Refused("1 # c", .trailing(found: 0x23, offset: 2)), Refused("[\u{c}]", found("\u{c}", "a value", at: 1)),
    Refused("[1\u{b}]", found("\u{b}", "',' or ']' after an element", at: 2)),
    Refused("[\u{a0}1]", .unexpected(found: 0xc2, expected: "a value", offset: 1)),
    Refused("é", .unexpected(found: 0xc3, expected: "a value", offset: 0)),
  ])
  func refuses(_ sample: Refused) {
    #expect(throws: sample.error) { try JSON.parse(sample.bytes) }
  }

  /// Ill-formed UTF-8 inside a string, and the place of the byte that shows it.
  @Test(
    arguments: [
      ([0x80], 1), ([0xbf], 1), ([0xff], 1), ([0xfe], 1),  // no lead bytes
      ([0xc0, 0xaf], 1), ([0xc1, 0xbf], 1), ([0xe0, 0x80, 0xaf], 2), ([0xf0, 0x80, 0x80, 0xaf], 2),  // overlong
      ([0xe0, 0x9f, 0xbf], 2), ([0xf0, 0x8f, 0xbf, 0xbf], 2),
      ([0xed, 0xa0, 0x80], 2), ([0xed, 0xbf, 0xbf], 2),  // surrogates
      // Beyond U+10FFFF.
      ([0xf4, 0x90, 0x80, 0x80], 2), ([0xf5, 0x80, 0x80, 0x80], 1), ([0xf8, 0x88, 0x80, 0x80, 0x80], 1),
      ([0xc3], 2), ([0xe2, 0x82], 3), ([0xf0, 0x9f, 0x8c], 4), ([0xc3, 0x28], 2), ([0xe2, 0x28, 0xac], 2),  // cut short
    ] as [([UInt8], Int)])
  func refusesIllFormedUTF8(_ bytes: [UInt8], offset: Int) throws {
    for document in [[0x22] + bytes + [0x22], [0x7b, 0x22] + bytes + Array("\":1}".utf8)] {
      let error = try #require(throws: JSONError.self) { try JSON.parse(document) }
      #expect(error.kind == "invalidUTF8")
      #expect(error.offset == offset + (document[0] == 0x7b ? 1 : 0))
    }
    #expect(throws: JSONError.self) { try JSON.parse([0x22] + bytes) }
    #expect(throws: JSONError.self) { try JSON.parse(bytes) }
  }

  /// Every proper prefix of a document that is no document itself is refused, wherever it is cut.
  @Test func refusesEveryPrefix() throws {
    let document = Array(#"{"a":[1,-2.5e+3,true,null,"é\u00e9\ud83c\udf33"],"b":{"c":[]}}"#.utf8)
    _ = try JSON.parse(document)
    for length in 0..<document.count {
      #expect(throws: JSONError.self, "the first \(length) bytes") { try JSON.parse(Array(document.prefix(length))) }
    }
  }

  @Test(arguments: [
    (#"{"a":1,"a":2}"#, "a", 7), (#"{"a":1,"b":2,"a":1}"#, "a", 13), (#"[{"x":1},{"y":1,"y":1}]"#, "y", 16),
    (#"{"a":1,"\u0061":2}"#, "a", 7), (#"{"é":1,"\u00e9":2}"#, "é", 8), (#"{"":1,"":2}"#, "", 6),
    (#"{"o":{"k":{"z":1,"z":2}}}"#, "z", 17), (#"{"a":{"b":1,"b":2},"a":{}}"#, "a", 19),
    (#"{"a":{"x":1},"b":[{},{"q":[{"r":0,"s":0,"r":0}]}]}"#, "r", 40),
  ])
  func refusesDuplicateKeys(_ text: String, key: String, offset: Int) {
    #expect(throws: JSONError.duplicateKey(key, offset: offset)) { try JSON.parse(text) }
  }

  @Test func keepsNamesApartThatSwiftStringsEquate() throws {
    let json = try JSON.parse(#"{"\u00e9":1,"e\u0301":2}"#)
    #expect(json["\u{e9}"] == 1)
    #expect(json["e\u{301}"] == 2)
    #expect(try JSON.parse(json.serialized()) == json)
  }

  @Test func keepsDocumentOrder() throws {
    let names = (0..<100).map { "k\($0 * 7919 % 100)" }
    let json = try JSON.parse("{" + names.map { "\"\($0)\":0" }.joined(separator: ",") + "}")
    #expect(Array(try #require(json.object).keys) == names)
  }
}
