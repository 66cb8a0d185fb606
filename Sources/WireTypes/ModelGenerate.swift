// model/generate: continues prompts with a model, and tells of the text as it comes.

package import JSON

package enum ModelGenerate: Method {
  package static let name = "model/generate"

  package enum Prompt: Sendable, Equatable {
    case text(String)
    case texts([String])
    case tokens([Int])
  }

  package struct Params: MethodParams {
    package let model: String
    package let revision: String?
    package let prompt: Prompt
    package let maxTokens: Int
    /// 0: greedy.
    package let temperature: Double
    package let topK: Int?
    package let topP: Double?
    package let seed: Int
    package let ignoreEndTokens: Bool
    package let addSpecialTokens: Bool
    package let logProbabilities: Bool
    /// An integer or a string, under which text is sent as it comes. (LSP 3.17, partial results)
    package let partialResultToken: JSON?

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      revision = try fields.optionalString("revision")
      prompt = try Self.prompt(&fields)
      maxTokens = try fields.int("maxTokens", in: 1...(1 << 20), default: 128)
      temperature = try fields.double("temperature", in: 0...1000, default: 0)
      topK = try fields.optionalInt("topK", in: 1...Int(Int32.max))
      topP = try fields.optionalDouble("topP", in: 0...1)
      seed = try fields.int("seed", in: 0...Int.max, default: 0)
      ignoreEndTokens = try fields.bool("ignoreEndTokens", default: false)
      addSpecialTokens = try fields.bool("addSpecialTokens", default: true)
      logProbabilities = try fields.bool("logProbabilities", default: false)
      partialResultToken = try fields.partialResultToken()
    }

    private static func prompt(_ fields: inout JSONFields) throws(JSONFieldError) -> Prompt {
      var given: [(key: String, prompt: Prompt)] = []
      if let text = try fields.optionalString("prompt", limit: .max) { given.append(("prompt", .text(text))) }
      if let texts = try fields.optionalStrings("prompts", limit: .max) {
        guard (1...mostPrompts).contains(texts.count) else {
          throw fields.error(.outOfRange, "prompts", expected: "1 to \(mostPrompts) strings")
        }
        given.append(("prompts", .texts(texts)))
      }
      if let tokens = try fields.optionalInts("tokens", in: 0...Int(Int32.max)) {
        given.append(("tokens", .tokens(tokens)))
      }
      guard given.count == 1, let prompt = given.first?.prompt else {
        throw fields.error(
          given.isEmpty ? .missingField : .outOfRange, given.last?.key ?? "prompt",
          expected: "exactly one of `prompt`, `prompts` and `tokens`")
      }
      return prompt
    }
  }

  /// Prompts of one request at most.
  package static let mostPrompts = 64

  /// What became of one prompt.
  package struct Completion: Sendable {
    let members: JSONObject

    /// - Parameters:
    ///   - tokens: the generated ones.
    ///   - logProbabilities, samplingLogProbabilities: of each of them in nats, if they were asked for.
    ///   - finishReason: nil if it is not finished.
    package init(
      text: String, tokens: [Int], finishReason: String?, promptTokens: Int, tokensPerSecond: Double,
      logProbabilities: [Double]?, samplingLogProbabilities: [Double]?
    ) {
      var members: JSONObject = ["text": JSON(text), "tokens": JSON(tokens)]
      if let finishReason { members["finishReason"] = JSON(finishReason) }
      members["promptTokens"] = JSON(promptTokens)
      members["tokensPerSecond"] = JSON(tokensPerSecond)
      if let logProbabilities { members["logProbabilities"] = .array(logProbabilities.map(wireNumber)) }
      if let samplingLogProbabilities {
        members["samplingLogProbabilities"] = .array(samplingLogProbabilities.map(wireNumber))
      }
      self.members = members
    }
  }

  /// The answer to a request with one prompt.
  package static func result(model: String, revision: String, _ completion: Completion, seconds: Double) -> JSON {
    var result: JSONObject = ["model": JSON(model), "revision": JSON(revision)]
    for (key, value) in completion.members { result[key] = value }
    result["seconds"] = JSON(seconds)
    return .object(result)
  }

  /// The answer to a request with `prompts`.
  package static func result(
    model: String, revision: String, _ completions: [Completion], tokensPerSecond: Double, seconds: Double
  ) -> JSON {
    [
      "model": JSON(model), "revision": JSON(revision), "completions": list(completions),
      "tokensPerSecond": JSON(tokensPerSecond), "seconds": JSON(seconds),
    ]
  }

  /// What an error has of the completions that were under way.
  package static func list(_ completions: [Completion]) -> JSON { .array(completions.map { .object($0.members) }) }

  /// What a notification brings of one prompt: text and tokens that came since the last. (LSP 3.17, partial results)
  package static func partialResult(token: JSON, text: String, tokens: [Int], index: Int) -> JSON {
    ["token": token, "value": ["text": JSON(text), "tokens": JSON(tokens), "index": JSON(index)]]
  }
}
