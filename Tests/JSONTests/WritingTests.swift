// What is written: exact bytes, shortest doubles, refusals, and that reading gives the value back.

import Testing

@testable import JSON

struct WritingTests {
  private func text(_ json: JSON) throws -> String { String(decoding: try json.serialized(), as: UTF8.self) }

  @Test(
    arguments: [
      (nil, "null"), (true, "true"), (false, "false"), (0, "0"), (-5, "-5"), (.integer(.min), "-9223372036854775808"),
      (0.1, "0.1"), (1.0, "1.0"), (-0.0, "-0.0"), (1e20, "1e+20"), (.number(.leastNonzeroMagnitude), "5e-324"),
      (0.3333333333333333, "0.3333333333333333"),
      (.number(.greatestFiniteMagnitude), "1.7976931348623157e+308"), ("", #""""#), ("a/b", #""a/b""#),
      ("\"\\\u{8}\u{c}\n\r\t", #""\"\\\b\f\n\r\t""#), ("\0\u{1f}", #""\u0000\u001f""#), ("é🌳\u{7f}", "\"é🌳\u{7f}\""),
      ([], "[]"), ([:], "{}"), ([1, [nil, "x"]], #"[1,[null,"x"]]"#), (["b": 1, "a": [:]], #"{"b":1,"a":{}}"#),
      (["é\"": 1], #"{"é\"":1}"#),
    ] as [(JSON, String)])
  func exactText(_ json: JSON, expected: String) throws {
    #expect(try text(json) == expected)
    #expect(try JSON.parse(expected) == json)
  }

  @Test func prettyText() throws {
    let json: JSON = ["model": "smol", "ratios": [0.5, 0.6]]
    let pretty = String(decoding: try json.prettyPrinted(), as: UTF8.self)
    #expect(pretty == "{\n  \"model\": \"smol\",\n  \"ratios\": [\n    0.5,\n    0.6\n  ]\n}")
    #expect(try JSON.parse(pretty) == json)
  }

  @Test(
    arguments: [
      (.number(.nan), "The value"), ([1, .number(.infinity)], "[1]"), (["a": .number(-.infinity)], "a"),
      (["a": [["b": .number(.nan)]]], "a[0].b"), ([["x": ["y": [0, .number(.nan)]]]], "[0].x.y[1]"),
    ] as [(JSON, String)])
  func refusesNumbersThatAreNone(_ json: JSON, path: String) throws {
    for write in [{ try $0.serialized() }, { try $0.prettyPrinted() }] as [(JSON) throws -> [UInt8]] {
      let error = try #require(throws: JSONError.self) { try write(json) }
      guard case .notFinite(_, let found) = error else {
        Issue.record("\(error)")
        return
      }
      #expect(found == path)
    }
  }

  @Test func refusesNamesWithNUL() {
    #expect(throws: JSONError.keyNotWritable("a\0b", path: "outer[0]")) {
      try JSON.object(["outer": [["a\0b": 1]]]).serialized()
    }
  }

  /// Random values survive writing and reading, compact and pretty, and writing is stable.
  @Test func roundTrips() throws {
    let seed = UInt64.random(in: .min ... .max)
    print("round trip seed \(seed)")
    var random = SplitMix(state: seed)
    for _ in 0..<2000 {
      let json = random.json(depth: 5)
      let bytes = try json.serialized()
      let read = try JSON.parse(bytes)
      #expect(read == json, "seed \(seed)")
      #expect(try read.serialized() == bytes, "seed \(seed)")
      #expect(try JSON.parse(json.prettyPrinted()) == json, "seed \(seed)")
    }
  }

  /// The scanner and json-c agree on what a document is: whatever the scanner lets pass, json-c reads.
  @Test func theScannerNeverLetsPassWhatTheReaderRefuses() throws {
    let seed = UInt64.random(in: .min ... .max)
    print("mutation seed \(seed)")
    var random = SplitMix(state: seed)
    let alphabet = Array(#"{}[]:,"\/ubfnrt0123456789.eE+-alsn' "#.utf8) + [0, 9, 10, 0x7f, 0xc3, 0xa9, 0xed, 0xf0]
    for _ in 0..<20_000 {
      var bytes = try random.json(depth: 3).serialized()
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let place = Int.random(in: 0...bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0 where place < bytes.count: bytes.remove(at: place)
        case 1 where place < bytes.count: bytes[place] = alphabet.randomElement(using: &random)!
        default: bytes.insert(alphabet.randomElement(using: &random)!, at: place)
        }
      }
      do throws(JSONError) {
        let json = try JSON.parse(bytes)
        #expect(try JSON.parse(json.serialized()) == json, "seed \(seed)")
      } catch {
        #expect(error.kind != "readerFailed", "seed \(seed): \(error) in \(String(decoding: bytes, as: UTF8.self))")
      }
    }
  }
}

/// A seeded generator (Steele, Lea and Flood 2014, SplitMix64) of numbers and of JSON values.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func json(depth: Int) -> JSON {
    switch Int.random(in: 0..<(depth > 0 ? 8 : 6), using: &self) {
    case 0: return nil
    case 1: return .bool(Bool.random(using: &self))
    case 2: return .integer(Int64(truncatingIfNeeded: next()) >> Int64.random(in: 0..<64, using: &self))
    case 3:
      let value = Double(bitPattern: next())
      return .number(value.isFinite ? value : 0.5)
    case 4: return .number(Double(Int.random(in: -1000...1000, using: &self)) / 100)
    case 5: return .string(string())
    case 6:
      return .array((0..<Int.random(in: 0..<6, using: &self)).map { _ in json(depth: depth - 1) })
    default:
      var members = JSONObject()
      for _ in 0..<Int.random(in: 0..<6, using: &self) {
        members[string().filter { $0 != "\0" }] = json(depth: depth - 1)
      }
      return .object(members)
    }
  }

  private mutating func string() -> String {
    var text = String.UnicodeScalarView()
    for _ in 0..<Int.random(in: 0..<12, using: &self) {
      let bound: UInt32 = [0x20, 0x80, 0x800, 0x10000, 0x110000].randomElement(using: &self)!
      text.append(Unicode.Scalar(UInt32.random(in: 0..<bound, using: &self)) ?? "x")
    }
    return String(text)
  }
}
