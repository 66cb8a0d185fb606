// How tokens become text: `decoder` of tokenizer.json.

import JSON

/// One step of a decoder. Each gets tokens from the step before and gives tokens to the next.
enum DecoderStep: Sendable {
  /// Reads the byte alphabet and joins all tokens.
  case byteLevel
  /// Tokens `<0xNN>` in a row become characters if they are UTF-8, and else one U+FFFD each.
  case byteFallback
  /// Joins all tokens.
  case fuse
  case replace([UInt8], with: [UInt8])
  /// Takes a character away up to `start` times at the front of each token and up to `stop` times at its end.
  case strip(character: [UInt8], start: Int, stop: Int)
  /// Spaces for the replacements; those in the first token go if `dropsFirst`.
  case metaspace(replacement: [UInt8], dropsFirst: Bool)
  /// Puts a space between tokens: what a tokenizer without decoder does.
  case spaced

  /// Whether the step can take one token piece by piece.
  var isStreaming: Bool {
    switch self {
    case .fuse, .strip, .metaspace: true
    case .replace(let target, _): UTF8Text.isOneCharacter(target)
    case .byteLevel, .byteFallback, .spaced: false
    }
  }

  /// Whether the step joins all tokens into one.
  var isJoining: Bool {
    switch self {
    case .fuse, .byteLevel: true
    default: false
    }
  }
}

enum DecoderReader {
  static let supported =
    "null, ByteLevel, ByteFallback, Fuse, Replace with a String, Strip, Metaspace, and a Sequence of these"

  static func steps(_ json: JSON?) throws(TokenizerFault) -> [DecoderStep] {
    guard let json, !json.isNull else { return [.spaced] }
    return try read(json, "decoder")
  }

  private static func read(_ json: JSON, _ name: String) throws(TokenizerFault) -> [DecoderStep] {
    let object = try Object(json, name)
    switch object["type"]?.string ?? "none" {
    case "Sequence":
      guard let list = object["decoders"]?.array else { throw .field("\(name).decoders", expected: "an array") }
      var steps: [DecoderStep] = []
      for (index, element) in list.enumerated() { steps += try read(element, "\(name).decoders[\(index)]") }
      return steps
    case "ByteLevel": return [.byteLevel]
    case "ByteFallback": return [.byteFallback]
    case "Fuse": return [.fuse]
    case "Replace":
      guard case .literal(let target) = try NormalizerReader.replacement(object).target else {
        throw unsupported("Replace with a Regex or an empty String")
      }
      return [.replace(target, with: Array(try object.string("content").utf8))]
    case "Strip":
      let content = try object.string("content")
      guard content.unicodeScalars.count == 1 else { throw .field("\(name).content", expected: "one character") }
      func count(_ key: String) throws(TokenizerFault) -> Int {
        guard let count = object[key]?.integer, (0...1 << 16).contains(count) else {
          throw .field("\(name).\(key)", expected: "a count from 0 to 65536")
        }
        return count
      }
      return [.strip(character: Array(content.utf8), start: try count("start"), stop: try count("stop"))]
    case "Metaspace":
      let metaspace = try PreTokenizerReader.metaspace(object)
      return [.metaspace(replacement: metaspace.replacement, dropsFirst: metaspace.scheme != .never)]
    case let type: throw unsupported(type)
    }
  }

  private static func unsupported(_ found: String) -> TokenizerFault {
    .unsupported(part: "decoder", found: found, supported: supported)
  }
}
