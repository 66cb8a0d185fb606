// Typed members: what is read, and the exact words for what is not.

import Testing

@testable import JSON

struct FieldTests {
  private static let sample: JSONObject = [
    "name": "smol", "count": 3, "ratio": 0.5, "whole": 2, "float": 3.0, "on": true, "none": nil,
    "list": [1, "x"], "names": ["a", "b"], "sizes": [1, 2], "weights": [1, 0.5], "inner": ["depth": 2, "extra": 1],
    "items": [["w": 1], ["w": 2]],
  ]

  @Test func readsEveryType() throws {
    var fields = try JSONFields(.object(Self.sample), at: "params")
    #expect(try fields.string("name") == "smol")
    #expect(try fields.string("name", oneOf: ["smol", "big"]) == "smol")
    #expect(try fields.int("count", in: 0...3) == 3)
    #expect(try fields.double("ratio", in: 0...1) == 0.5)
    #expect(try fields.double("whole") == 2)
    #expect(try fields.bool("on"))
    #expect(try fields.array("list").count == 2)
    #expect(try fields.strings("names") == ["a", "b"])
    #expect(try fields.ints("sizes", in: 1...2) == [1, 2])
    #expect(try fields.doubles("weights") == [1, 0.5])
    #expect(try fields.object("inner").count == 2)
    #expect(try fields.value("float") == 3.0)
    var inner = try fields.fields("inner")
    #expect(try inner.int("depth") == 2)
    var weights: [Int] = []
    for var item in try fields.fieldsArray("items") { weights.append(try item.int("w")) }
    #expect(weights == [1, 2])
    try fields.finish(alsoAllowed: ["none"])
  }

  @Test(arguments: ["absent", "none"])
  func optionalMembersMayBeAbsentOrNull(_ key: String) throws {
    var fields = try JSONFields(.object(Self.sample), at: "params")
    #expect(!fields.has(key))
    #expect(try fields.optionalString(key) == nil)
    #expect(try fields.optionalInt(key) == nil)
    #expect(try fields.optionalDouble(key) == nil)
    #expect(try fields.optionalBool(key) == nil)
    #expect(try fields.optionalArray(key) == nil)
    #expect(try fields.optionalObject(key) == nil)
    #expect(try fields.optionalStrings(key) == nil)
    #expect(try fields.optionalInts(key) == nil)
    #expect(try fields.optionalDoubles(key) == nil)
    #expect(try fields.optionalFields(key) == nil)
    #expect(try fields.optionalFieldsArray(key) == nil)
    #expect(fields.optionalValue(key) == nil)
    #expect(try fields.string(key, default: "d") == "d")
    #expect(try fields.int(key, default: 7) == 7)
    #expect(try fields.double(key, default: 0.25) == 0.25)
    #expect(try fields.bool(key, default: true))
  }

  struct Fault: Sendable, CustomTestStringConvertible {
    let kind: String
    let path: String
    let message: String
    let read: @Sendable (inout JSONFields) throws -> Void
    var testDescription: String { message }

    init(
      _ kind: String, _ path: String, _ message: String, _ read: @escaping @Sendable (inout JSONFields) throws -> Void
    ) {
      (self.kind, self.path, self.message, self.read) = (kind, path, message, read)
    }
  }

  @Test(arguments: [
    Fault("missingField", "params.model", "params.model is missing; expected a string.") { _ = try $0.string("model") },
    Fault("missingField", "params.none", "params.none is missing; expected an integer from 1 to 9.") {
      _ = try $0.int("none", in: 1...9)
    },
    Fault("missingField", "params.x", "params.x is missing; expected an array of strings.") { _ = try $0.strings("x") },
    Fault("wrongType", "params.count", "params.count is 3; expected a string.") { _ = try $0.string("count") },
    Fault("wrongType", "params.float", "params.float is 3.0; expected an integer.") { _ = try $0.int("float") },
    Fault("wrongType", "params.name", "params.name is \"smol\"; expected a number from 0.0 to 1.0.") {
      _ = try $0.double("name", in: 0...1)
    },
    Fault("wrongType", "params.list", "params.list is an array of 2; expected true or false.") {
      _ = try $0.bool("list")
    },
    Fault("wrongType", "params.inner", "params.inner is an object of 2 members; expected an array.") {
      _ = try $0.array("inner")
    },
    Fault("wrongType", "params.list[1]", "params.list[1] is \"x\"; expected an integer.") { _ = try $0.ints("list") },
    Fault("wrongType", "params.list[0]", "params.list[0] is 1; expected an object.") { _ = try $0.fieldsArray("list") },
    Fault("wrongType", "params.on", "params.on is true; expected an object.") { _ = try $0.fields("on") },
    Fault("outOfRange", "params.count", "params.count is 3; expected an integer from 0 to 2.") {
      _ = try $0.int("count", in: 0...2)
    },
    Fault("outOfRange", "params.count", "params.count is 3; expected an integer of at least 4.") {
      _ = try $0.int("count", in: 4 ... .max)
    },
    Fault("outOfRange", "params.count", "params.count is 3; expected an integer of at most 2.") {
      _ = try $0.optionalInt("count", in: .min...2)
    },
    Fault("outOfRange", "params.ratio", "params.ratio is 0.5; expected a number from 0.6 to 1.0.") {
      _ = try $0.double("ratio", in: 0.6...1)
    },
    Fault("outOfRange", "params.ratio", "params.ratio is 0.5; expected a number of at least 1.0.") {
      _ = try $0.double("ratio", in: 1 ... .infinity)
    },
    Fault("outOfRange", "params.sizes[1]", "params.sizes[1] is 2; expected an integer from 0 to 1.") {
      _ = try $0.ints("sizes", in: 0...1)
    },
    Fault("outOfRange", "params.name", "params.name is \"smol\"; expected one of \"tiny\", \"big\".") {
      _ = try $0.string("name", oneOf: ["tiny", "big"])
    },
    Fault("outOfRange", "params.name", "params.name is \"smol\"; expected \"smal\" (did you mean \"smal\"?).") {
      _ = try $0.string("name", oneOf: ["smal"])
    },
    Fault("unknownField", "params.inner.extra", "params.inner.extra is not known. Known here: depth.") {
      var inner = try $0.fields("inner")
      _ = try inner.int("depth")
      try inner.finish()
    },
    Fault("unknownField", "params.name", "params.name is not known. Did you mean \"names\"? Known here: names, other.")
    {
      _ = try $0.strings("names")
      try $0.finish(alsoAllowed: ["other"])
    },
    Fault("unknownField", "params.name", "params.name is not known. Known here: no members.") { try $0.finish() },
  ])
  func says(_ fault: Fault) throws {
    var fields = try JSONFields(.object(Self.sample), at: "params")
    let error = try #require(throws: JSONFieldError.self) { try fault.read(&fields) }
    #expect(error.kind == fault.kind)
    #expect(error.path == fault.path)
    #expect(error.message == fault.message)
  }

  @Test func pathsStartAtTheTopOfADocument() throws {
    var top = try JSONFields(["a": ["b": "x"]], at: "")
    var a = try top.fields("a")
    #expect(a.path == "a")
    let error = try #require(throws: JSONFieldError.self) { try a.int("b") }
    #expect(error.path == "a.b")
    let wrong = try #require(throws: JSONFieldError.self) { try JSONFields([1], at: "") }
    #expect(wrong.message == "The document is an array of 1; expected an object.")
  }

  @Test func longStringsAreShortened() throws {
    var fields = try JSONFields(["s": JSON(String(repeating: "x", count: 5000))], at: "params")
    let error = try #require(throws: JSONFieldError.self) { try fields.int("s") }
    #expect(error.message.utf8.count < 120)
  }

  @Test(
    arguments: [
      ("sparsty", "sparsity"), ("Sparsity", "sparsity"), ("sparsitiy", "sparsity"), ("sparstiy", "sparsity"),
      ("modle", "model"), ("model", "model"), ("xyz", nil), ("mo", nil), ("a", nil), ("", nil),
    ] as [(String, String?)])
  func suggests(_ word: String, expected: String?) {
    #expect(nearest(to: word, among: ["model", "sparsity", "dataset"]) == expected)
  }
}
