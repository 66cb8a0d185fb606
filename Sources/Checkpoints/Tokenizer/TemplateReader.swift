// The `post_processor` of tokenizer.json: which tokens are put around a sequence.

import JSON

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
    case "BertProcessing", "RobertaProcessing":
      return ([try edge("cls", object, vocabulary)], [try edge("sep", object, vocabulary)])
    case let type:
      throw .unsupported(
        part: "post_processor", found: type,
        supported: "TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel and a Sequence of these")
    }
  }

  /// A token given as `["<s>", 0]`.
  private static func edge(
    _ name: String, _ object: Object, _ vocabulary: Vocabulary
  ) throws(TokenizerFault) -> Int32 {
    guard let pair = object[name]?.array, pair.count == 2, let token = pair[0].string, let id = pair[1].integer else {
      throw .field("post_processor.\(name)", expected: "a token and its id")
    }
    guard vocabulary.token(id) != nil else { throw .specialToken(token) }
    return Int32(id)
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
