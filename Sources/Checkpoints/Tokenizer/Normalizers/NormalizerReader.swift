// The `normalizer` of tokenizer.json as steps.

import JSON

enum NormalizerReader {
  static let supported =
    "null, Prepend, Replace, NFC, NFD, NFKC, NFKD, Lowercase, Strip, Precompiled, and a Sequence of these"

  static func steps(_ json: JSON?, _ name: String = "normalizer") throws(TokenizerFault) -> [NormalizerStep] {
    guard let json, !json.isNull else { return [] }
    let object = try Object(json, name)
    switch object["type"]?.string ?? "none" {
    case "Sequence":
      guard let list = object["normalizers"]?.array else { throw .field("\(name).normalizers", expected: "an array") }
      var steps: [NormalizerStep] = []
      for (index, element) in list.enumerated() { steps += try self.steps(element, "\(name).normalizers[\(index)]") }
      return steps
    case "Prepend": return [.prepend(Array(try object.string("prepend").utf8))]
    case "Replace": return [.replace(try replacement(object))]
    case "Lowercase": return [.lowercase]
    case "Strip":
      return [.strip(left: try object.bool("strip_left"), right: try object.bool("strip_right"))]
    case "Precompiled":
      guard let text = object["precompiled_charsmap"]?.string, !text.isEmpty else { return [] }
      let field = "\(name).precompiled_charsmap"
      guard let bytes = Base64.decode(text) else {
        throw .field(field, expected: "base64 of a SentencePiece character map")
      }
      return [.characterMap(try CharacterMap(bytes, name: field))]
    case let type:
      if let form = UnicodeForm(rawValue: type) { return [.form(form)] }
      throw .unsupported(part: "normalizer", found: type, supported: supported)
    }
  }

  /// The pattern and content of a `Replace`.
  static func replacement(_ object: Object) throws(TokenizerFault) -> Replacement {
    let content = Array(try object.string("content").utf8)
    if let literal = object["pattern"]?["String"]?.string {
      // An empty pattern is found before every character, as an empty expression is.
      let target: Replacement.Target = literal.isEmpty ? .expression(try Pattern("")) : .literal(Array(literal.utf8))
      return Replacement(target: target, content: content)
    }
    guard let regex = object["pattern"]?["Regex"]?.string else {
      throw .field("\(object.name).pattern", expected: "{\"String\": ...} or {\"Regex\": ...}")
    }
    return Replacement(target: .expression(try Pattern(regex)), content: content)
  }
}
