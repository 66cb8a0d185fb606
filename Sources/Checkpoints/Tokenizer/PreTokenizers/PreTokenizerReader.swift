// The `pre_tokenizer` of tokenizer.json as steps.

import JSON

/// What a pre-tokenizer does, and what is left of it for the model.
struct PreTokenizerDefinition: Sendable {
  var steps: [PreTokenizerStep] = []
  /// What the words are made of when the model gets them. A `ByteLevel` at the end is left to the model, which then
  /// sees bytes instead of the characters that stand for them.
  var alphabet = BytePairModel.Alphabet.characters
}

enum PreTokenizerReader {
  static let supported =
    "null, ByteLevel, Split, Digits, Metaspace, Whitespace, WhitespaceSplit, Punctuation, and a Sequence of these with "
    + "one ByteLevel"

  static func definition(_ json: JSON?) throws(TokenizerFault) -> PreTokenizerDefinition {
    var steps: [PreTokenizerStep] = []
    try read(json, "pre_tokenizer", &steps)
    guard case .byteAlphabet = steps.last else { return PreTokenizerDefinition(steps: steps) }
    return PreTokenizerDefinition(steps: steps.dropLast(), alphabet: .bytes)
  }

  private static func read(
    _ json: JSON?, _ name: String, _ steps: inout [PreTokenizerStep]
  ) throws(TokenizerFault) {
    guard let json, !json.isNull else { return }
    let object = try Object(json, name)
    switch object["type"]?.string ?? "none" {
    case "Sequence":
      guard let list = object["pretokenizers"]?.array else {
        throw .field("\(name).pretokenizers", expected: "an array")
      }
      for (index, element) in list.enumerated() { try read(element, "\(name).pretokenizers[\(index)]", &steps) }
    case "ByteLevel":
      for step in steps { if case .byteAlphabet = step { throw unsupported("ByteLevel behind ByteLevel") } }
      if try object.bool("add_prefix_space", default: true) { steps.append(.prefixSpace) }
      if try object.bool("use_regex", default: true) {
        steps.append(.split(try Pattern(PreTokenizerStep.gpt2), .isolated, inverted: false))
      }
      steps.append(.byteAlphabet)
    case "Digits":
      steps.append(.characters(.number, try object.bool("individual_digits") ? .isolated : .contiguous))
    case "Split": steps.append(try split(object))
    case "Metaspace": steps.append(.metaspace(try metaspace(object)))
    case "Whitespace": steps.append(.words)
    case "WhitespaceSplit": steps.append(.characters(.whitespace, .removed))
    case "Punctuation": steps.append(.characters(.punctuation, try behavior(object, default: .isolated)))
    case let type: throw unsupported(type)
    }
  }

  private static func split(_ object: Object) throws(TokenizerFault) -> PreTokenizerStep {
    let behavior = try behavior(object, default: nil)
    let inverted = try object.bool("invert")
    if let regex = object["pattern"]?["Regex"]?.string {
      return .split(try Pattern(regex), behavior, inverted: inverted)
    }
    guard let literal = object["pattern"]?["String"]?.string else {
      throw .field("\(object.name).pattern", expected: "{\"String\": ...} or {\"Regex\": ...}")
    }
    if literal.isEmpty { return .split(try Pattern(""), behavior, inverted: inverted) }
    return .literal(Array(literal.utf8), behavior, inverted: inverted)
  }

  private static func behavior(
    _ object: Object, default fallback: SplitBehavior?
  ) throws(TokenizerFault) -> SplitBehavior {
    if object["behavior"] == nil, let fallback { return fallback }
    guard let behavior = object["behavior"]?.string.flatMap({ SplitBehavior(rawValue: $0) }) else {
      throw .field(
        "\(object.name).behavior",
        expected: "Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous")
    }
    return behavior
  }

  /// A Metaspace of a pre-tokenizer or decoder.
  static func metaspace(_ object: Object) throws(TokenizerFault) -> Metaspace {
    let replacement = try object.string("replacement", default: "\u{2581}")
    guard replacement.unicodeScalars.count == 1 else {
      throw .field("\(object.name).replacement", expected: "one character")
    }
    // Older files have a flag in place of the scheme.
    let flag = try object.bool("add_prefix_space", default: true)
    let name = try object.string("prepend_scheme", default: flag ? "always" : "never")
    guard let scheme = Metaspace.Scheme(rawValue: name), flag || scheme == .never else {
      throw .field(
        "\(object.name).prepend_scheme", expected: "always, first or never, and never if add_prefix_space is false")
    }
    return Metaspace(
      replacement: Array(replacement.utf8), scheme: scheme, splits: try object.bool("split", default: true))
  }

  private static func unsupported(_ found: String) -> TokenizerFault {
    .unsupported(part: "pre_tokenizer", found: found, supported: supported)
  }
}
