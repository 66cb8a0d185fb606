// What Hugging Face's `tokenizers` makes of texts, and the comparison with it.

import Foundation
import JSON
import Testing

@testable import Checkpoints

/// What `tokenizers` makes of one text.
struct Golden {
  let text: String
  let ids: [Int32]
  /// With special tokens around them; nil if that is not said.
  let whole: [Int32]?
  let decoded: String
  let skipped: String
  /// The text of the first half of the ids.
  let half: String?

  init(_ json: JSON, checksWhole: Bool = true) throws {
    func ids(_ key: String) -> [Int32]? { json[key]?.array?.compactMap(\.integer).map { Int32($0) } }
    text = try #require(json["text"]?.string)
    self.ids = try #require(ids("ids"))
    whole = checksWhole ? ids("whole") ?? self.ids : nil
    decoded = json["decoded"]?.string ?? text
    skipped = json["skipped"]?.string ?? decoded
    half = json["half"]?.string
  }
}

func goldenFile(_ name: String) throws -> JSON {
  let bytes = try #require(FileManager.default.contents(atPath: "\(goldens)/\(name)"))
  return try JSON.parse(Array(bytes), limits: .file)
}

/// Strings are compared scalar by scalar: Swift's `==` takes different encodings of an accent for equal.
func same(_ a: String, _ b: String) -> Bool { a.unicodeScalars.elementsEqual(b.unicodeScalars) }

/// What `tokenizer` makes of a text otherwise than the golden says; empty if nothing.
func differences(_ tokenizer: Tokenizer, _ golden: Golden, decoding: Bool) throws -> [String] {
  var differences: [String] = []
  func compare(_ what: String, _ equal: Bool) {
    if !equal { differences.append("\(what) of \(golden.text.debugDescription)") }
  }
  compare("ids", try tokenizer.encode(golden.text) == golden.ids)
  if let whole = golden.whole {
    compare("ids with special tokens", try tokenizer.encode(golden.text, addSpecialTokens: true) == whole)
  }
  guard decoding else { return differences }
  compare("text", same(try tokenizer.decode(golden.ids), golden.decoded))
  compare(
    "text without special tokens", same(try tokenizer.decode(golden.ids, skipSpecialTokens: true), golden.skipped))
  if let half = golden.half {
    compare("first half", same(try tokenizer.decode(Array(golden.ids.prefix(golden.ids.count / 2))), half))
  }
  return differences
}
