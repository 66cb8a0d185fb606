// dataset/generate: a model writes documents, which become a dataset.

package import JSON

package enum DatasetGenerate: Method {
  package static let name = "dataset/generate"

  package enum Prompts: Sendable, Equatable {
    case texts([String])
    /// Its examples, or the first so many tokens of its sequences.
    case dataset(String, promptTokens: Int)
    /// So many texts from the token that begins one.
    case begin(count: Int)
  }

  package struct Params: MethodParams {
    package let model: String
    /// Nil: the current one.
    package let revision: String?
    package let prompts: Prompts
    package let maxTokens: Int
    /// 0: greedy.
    package let temperature: Double
    package let topK: Int?
    package let topP: Double?
    package let seed: Int
    /// Completions that are decoded together.
    package let batch: Int
    /// Nil: not written to a file.
    package let path: String?
    package let name: String?
    /// Nil: as long as prompt and completion can be.
    package let sequenceLength: Int?
    package let packing: String
    package let addSpecialTokens: Bool

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      revision = try fields.optionalString("revision")
      prompts = try Self.prompts(&fields)
      maxTokens = try fields.int("maxTokens", in: 1...(1 << 20), default: 128)
      temperature = try fields.double("temperature", in: 0...1000, default: 1)
      topK = try fields.optionalInt("topK", in: 1...Int(Int32.max))
      topP = try fields.optionalDouble("topP", in: 0...1)
      seed = try fields.int("seed", in: 0...Int.max, default: 0)
      batch = try fields.int("batch", in: 1...1024, default: 16)
      path = try fields.optionalString("path")
      name = try fields.optionalName("name")
      sequenceLength = try fields.optionalInt("sequenceLength", in: 2...(1 << 20))
      packing = try fields.string("packing", oneOf: packingWords, default: packingWords[0])
      addSpecialTokens = try fields.bool("addSpecialTokens", default: true)
    }

    private static func prompts(_ fields: inout JSONFields) throws(JSONFieldError) -> Prompts {
      var given: [(key: String, prompts: Prompts)] = []
      if let texts = try fields.optionalStrings("prompts", limit: .max) {
        guard !texts.isEmpty else { throw fields.error(.outOfRange, "prompts", expected: "at least one text") }
        given.append(("prompts", .texts(texts)))
      }
      let promptTokens = try fields.optionalInt("promptTokens", in: 1...(1 << 20))
      if let dataset = try fields.optionalString("dataset") {
        given.append(("dataset", .dataset(dataset, promptTokens: promptTokens ?? 32)))
      } else if promptTokens != nil {
        throw fields.error(
          .outOfRange, "promptTokens", expected: "nothing without a `dataset` whose sequences begin with prompts")
      }
      if let count = try fields.optionalInt("count", in: 1...(1 << 24)) {
        given.append(("count", .begin(count: count)))
      }
      guard given.count == 1, let prompts = given.first?.prompts else {
        throw fields.error(
          given.isEmpty ? .missingField : .outOfRange, given.last?.key ?? "prompts",
          expected: "exactly one of `prompts`, `dataset` and `count`")
      }
      return prompts
    }
  }

  /// - Parameters:
  ///   - generatedTokens: now, without those that were in the file.
  ///   - resumed: documents that were in the file.
  package static func result(
    _ dataset: DatasetFacts, model: String, revision: String, path: String?, resumed: Int, generatedTokens: Int,
    tokensPerSecond: Double, seconds: Double
  ) -> JSON {
    var result = dataset.json
    result["model"] = JSON(model)
    result["revision"] = JSON(revision)
    result["path"] = JSON(path)
    result["resumed"] = JSON(resumed)
    result["generatedTokens"] = JSON(generatedTokens)
    result["tokensPerSecond"] = JSON(tokensPerSecond)
    result["seconds"] = JSON(seconds)
    return result
  }
}
