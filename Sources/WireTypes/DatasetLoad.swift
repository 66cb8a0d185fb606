// dataset/load: tokenises a text with a model's tokenizer and cuts it into sequences.

package import JSON

package enum DatasetLoad: Method {
  package static let name = "dataset/load"

  package enum Source: Sendable, Equatable {
    /// A text file, or `builtin:sapling/calibration` and the like.
    case path(String)
    case text(String)
    case tokens([Int])
  }

  package struct Params: MethodParams {
    package let source: Source
    package let model: String
    package let sequenceLength: Int
    /// Nil: as many as there are.
    package let sequences: Int?
    package let random: Bool
    package let seed: Int
    package let name: String?
    package let addSpecialTokens: Bool

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
      random = try fields.string("sampling", oneOf: ["contiguous", "random"], default: "contiguous") == "random"
      seed = try fields.int("seed", in: 0...Int.max, default: 0)
      name = try fields.optionalName("name")
      addSpecialTokens = try fields.bool("addSpecialTokens", default: false)
    }
  }

  package static func result(_ dataset: DatasetFacts, textTokens: Int, seconds: Double) -> JSON {
    var result = dataset.json
    result["textTokens"] = JSON(textTokens)
    result["seconds"] = JSON(seconds)
    return result
  }
}

/// What a client knows of a dataset.
package struct DatasetFacts: Sendable {
  let json: JSON

  package init(
    dataset: String, sequences: Int, sequenceLength: Int, tokens: Int, digest: String, source: String
  ) {
    json = [
      "dataset": JSON(dataset), "sequences": JSON(sequences), "sequenceLength": JSON(sequenceLength),
      "tokens": JSON(tokens), "digest": JSON(digest), "source": JSON(source),
    ]
  }
}
