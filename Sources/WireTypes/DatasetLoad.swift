// dataset/load: tokenises a text with a model's tokenizer and cuts it into sequences, or documents and packs them.

package import JSON

package enum DatasetLoad: Method {
  package static let name = "dataset/load"

  package enum Source: Sendable, Equatable {
    /// A text file, or `builtin:sapling/calibration`, `builtin:arithmetic` and the like.
    case path(String)
    case text(String)
    case tokens([Int])
  }

  package enum Format: Sendable, Equatable {
    /// One text, cut into sequences of one length.
    case text(random: Bool, seed: Int)
    /// A document a line.
    case jsonl(packing: String, endOfText: Bool)
  }

  package struct Params: MethodParams {
    package let source: Source
    package let model: String
    package let sequenceLength: Int
    /// Nil: as many as there are.
    package let sequences: Int?
    package let format: Format
    package let name: String?
    package let addSpecialTokens: Bool
    /// What is made up in the place of a file, for `TaskParam.source`; nil for all other sources.
    package let task: TaskParam?

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      var given: [(key: String, source: Source)] = []
      if let path = try fields.optionalString("path") { given.append(("path", .path(path))) }
      if let text = try fields.optionalString("text", limit: .max) { given.append(("text", .text(text))) }
      if let tokens = try fields.optionalInts("tokens", in: 0...Int(Int32.max)) {
        given.append(("tokens", .tokens(tokens)))
      }
      guard given.count == 1, let source = given.first?.source else {
        throw fields.error(
          given.isEmpty ? .missingField : .outOfRange, given.last?.key ?? "path",
          expected: "exactly one of `path`, `text` and `tokens`")
      }
      self.source = source
      model = try fields.string("model")
      sequenceLength = try fields.int("sequenceLength", in: 2...(1 << 20))
      sequences = try fields.optionalInt("sequences", in: 1...(1 << 20))
      format = try Self.format(source, &fields)
      name = try fields.optionalName("name")
      addSpecialTokens = try fields.bool("addSpecialTokens", default: false)
      let isTask = source == .path(TaskParam.source), members = try fields.optionalFields("task")
      if members != nil, !isTask {
        throw fields.error(.outOfRange, "task", expected: "nothing unless `path` is \"\(TaskParam.source)\"")
      }
      if isTask, case .text = format {
        throw fields.error(.outOfRange, "format", expected: "\"jsonl\" for a task, whose examples are documents")
      }
      var taskFields = members ?? JSONFields(members: [:], at: fields.path(of: "task"))
      task = isTask ? try TaskParam(&taskFields) : nil
      try taskFields.finish()
    }

    private static func format(_ source: Source, _ fields: inout JSONFields) throws(JSONFieldError) -> Format {
      let isFile = if case .path(let path) = source { path.hasSuffix(".jsonl") || path == TaskParam.source } else { false }
      let isTokens = if case .tokens = source { true } else { false }
      let word = try fields.string("format", oneOf: ["text", "jsonl"], default: isFile ? "jsonl" : "text")
      let random = try fields.optionalString("sampling", oneOf: ["contiguous", "random"])
      let seed = try fields.int("seed", in: 0...Int.max, default: 0)
      let packing = try fields.optionalString("packing", oneOf: packingWords)
      let endOfText = try fields.optionalBool("endOfText")
      if word == "jsonl" {
        if isTokens { throw fields.error(.outOfRange, "format", expected: "\"text\" for `tokens`, which are one text") }
        if random == "random" { throw fields.error(.outOfRange, "sampling", expected: "\"contiguous\" for documents") }
        return .jsonl(packing: packing ?? packingWords[0], endOfText: endOfText ?? true)
      }
      for (key, isGiven) in [("packing", packing != nil), ("endOfText", endOfText != nil)] where isGiven {
        throw fields.error(
          .outOfRange, key, expected: "nothing here for one text: it is about documents (`format` \"jsonl\")")
      }
      return .text(random: random == "random", seed: seed)
    }
  }

  package static func result(_ dataset: DatasetFacts, textTokens: Int, seconds: Double) -> JSON {
    var result = dataset.json
    result["textTokens"] = JSON(textTokens)
    result["seconds"] = JSON(seconds)
    return result
  }
}

/// How documents are put into sequences.
let packingWords = ["none", "bestFit"]

/// What a client knows of a dataset.
package struct DatasetFacts: Sendable {
  let json: JSON

  /// - Parameter documents: nil for one text.
  package init(
    dataset: String, sequences: Int, sequenceLength: Int, tokens: Int, digest: String, source: String,
    documents: DocumentFacts? = nil
  ) {
    var json: JSON = [
      "dataset": JSON(dataset), "sequences": JSON(sequences), "sequenceLength": JSON(sequenceLength),
      "tokens": JSON(tokens), "digest": JSON(digest), "source": JSON(source),
    ]
    if let documents { json["documents"] = documents.json }
    self.json = json
  }
}

/// What became of the documents of a dataset.
package struct DocumentFacts: Sendable {
  let json: JSON

  /// - Parameters:
  ///   - segments: documents and pieces of documents in the sequences.
  ///   - validTokens: tokens that are predicted.
  ///   - examples: prompts to sample from.
  ///   - cut, tooLong, tooShort: documents that were cut into pieces, and what was left out.
  package init(
    packing: String, segments: Int, validTokens: Int, examples: Int, cut: Int, tooLong: Int, tooShort: Int
  ) {
    json = [
      "packing": JSON(packing), "segments": JSON(segments), "validTokens": JSON(validTokens),
      "examples": JSON(examples), "cut": JSON(cut), "tooLong": JSON(tooLong), "tooShort": JSON(tooShort),
    ]
  }
}
