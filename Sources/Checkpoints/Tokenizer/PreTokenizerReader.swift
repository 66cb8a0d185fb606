// The `pre_tokenizer` of tokenizer.json as steps. The last is always ByteLevel: what comes before it sees text, what
// comes behind would see the byte alphabet.

import JSON

enum PreTokenizerReader {
  static let supported =
    "ByteLevel, Split with a Regex and behavior Isolated, Digits, and a Sequence that ends in ByteLevel"

  static func steps(_ json: JSON?) throws(TokenizerFault) -> [PreTokenizerStep] {
    var steps: [PreTokenizerStep] = []
    var finished = false
    try read(json, "pre_tokenizer", &steps, &finished)
    guard finished else { throw unsupported("no ByteLevel") }
    return steps
  }

  private static func read(
    _ json: JSON?, _ name: String, _ steps: inout [PreTokenizerStep], _ finished: inout Bool
  ) throws(TokenizerFault) {
    guard let json, !json.isNull else { throw unsupported("null") }
    let object = try Object(json, name)
    let type = object["type"]?.string ?? "none"
    if finished { throw unsupported("\(type) behind ByteLevel") }
    switch type {
    case "Sequence":
      guard let list = object["pretokenizers"]?.array else {
        throw .field("\(name).pretokenizers", expected: "an array")
      }
      for (index, element) in list.enumerated() {
        try read(element, "\(name).pretokenizers[\(index)]", &steps, &finished)
      }
    case "ByteLevel":
      if try object.bool("add_prefix_space", default: true) { steps.append(.prefixSpace) }
      if try object.bool("use_regex", default: true) { steps.append(.split(try Pattern(PreTokenizerStep.gpt2))) }
      finished = true
    case "Digits":
      steps.append(.digits(individual: try object.bool("individual_digits")))
    case "Split":
      guard let regex = object["pattern"]?["Regex"]?.string else { throw unsupported("Split without a Regex") }
      let behavior = object["behavior"]?.string ?? "none"
      guard behavior == "Isolated" else { throw unsupported("Split with behavior \(behavior)") }
      guard try !object.bool("invert") else { throw unsupported("Split with invert") }
      steps.append(.split(try Pattern(regex)))
    default:
      throw unsupported(type)
    }
  }

  private static func unsupported(_ found: String) -> TokenizerFault {
    .unsupported(part: "pre_tokenizer", found: found, supported: supported)
  }
}

/// The `post_processor` of tokenizer.json: what is put around a single sequence.
enum TemplateReader {
  /// - Returns: ids before and behind the sequence.
  static func template(
    _ json: JSON?, vocabulary: Vocabulary
  ) throws(TokenizerFault) -> (prefix: [Int32], suffix: [Int32]) {
    guard let json, !json.isNull else { return ([], []) }
    let object = try Object(json, "post_processor")
    switch object["type"]?.string ?? "none" {
    case "ByteLevel": return ([], [])  // concerns offsets into the text only
    case "Sequence":
      guard let list = object["processors"]?.array else {
        throw .field("post_processor.processors", expected: "an array")
      }
      var (prefix, suffix): ([Int32], [Int32]) = ([], [])
      for processor in list {
        let outer = try template(processor, vocabulary: vocabulary)
        (prefix, suffix) = (outer.prefix + prefix, suffix + outer.suffix)
      }
      return (prefix, suffix)
    case "TemplateProcessing": return try single(object, vocabulary)
    case let type:
      throw .unsupported(
        part: "post_processor", found: type, supported: "TemplateProcessing, ByteLevel and a Sequence of these")
    }
  }

  private static func single(
    _ object: Object, _ vocabulary: Vocabulary
  ) throws(TokenizerFault) -> (prefix: [Int32], suffix: [Int32]) {
    guard let pieces = object["single"]?.array else { throw .field("post_processor.single", expected: "an array") }
    var around: (prefix: [Int32], suffix: [Int32]) = ([], [])
    var sequences = 0
    for (index, piece) in pieces.enumerated() {
      if piece["Sequence"]?["id"]?.string == "A" {
        sequences += 1
        continue
      }
      guard let name = piece["SpecialToken"]?["id"]?.string else {
        throw .field("post_processor.single[\(index)]", expected: "a SpecialToken or the Sequence A")
      }
      let ids = try specialTokenIDs(name, object, vocabulary)
      if sequences == 0 { around.prefix += ids } else { around.suffix += ids }
    }
    guard sequences == 1 else { throw .field("post_processor.single", expected: "the Sequence A exactly once") }
    return around
  }

  private static func specialTokenIDs(
    _ name: String, _ object: Object, _ vocabulary: Vocabulary
  ) throws(TokenizerFault) -> [Int32] {
    guard let list = object["special_tokens"]?[name]?["ids"]?.array else { throw .specialToken(name) }
    var ids: [Int32] = []
    for value in list {
      guard let id = value.integer, vocabulary.token(id) != nil else { throw .specialToken(name) }
      ids.append(Int32(id))
    }
    return ids
  }
}
