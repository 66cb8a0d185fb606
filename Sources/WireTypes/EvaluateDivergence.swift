// evaluate/divergence: how far a revision's next-token distributions are from those of a reference.

package import JSON

package enum EvaluateDivergence: Method {
  package static let name = "evaluate/divergence"

  package struct Params: MethodParams {
    package let model: String
    package let revision: String?
    /// What it is compared with; nil revision: the current one.
    package let reference: (model: String, revision: String?)
    package let dataset: String
    /// Tokens of a window; nil: the dataset's sequence length.
    package let window: Int?
    package let precision: String

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      revision = try fields.optionalString("revision")
      var other = try fields.fields("reference")
      reference = (try other.string("model"), try other.optionalString("revision"))
      try other.finish()
      dataset = try fields.string("dataset")
      window = try fields.optionalInt("window", in: 2...(1 << 20))
      precision = try fields.precision()
    }
  }

  /// The fractions of which the answer has quantiles, beside the maximum.
  package static let quantileFractions = [0.5, 0.9, 0.99]

  /// A distance and what it rests on.
  package struct Facts: Sendable {
    let members: JSONObject

    /// - Parameters:
    ///   - meanKL, standardError, quantiles, maximum: nats per predicted token.
    ///   - quantiles: of `quantileFractions`.
    ///   - sameTopToken: fraction of the predicted tokens.
    ///   - tokens: predicted tokens.
    package init(
      meanKL: Double, standardError: Double, quantiles: [Double], maximum: Double, sameTopToken: Double,
      perplexity: Double, referencePerplexity: Double, tokens: Int, windows: Int
    ) {
      var named = JSONObject(zip(quantileFractions, quantiles).map { ("\($0)", wireNumber($1)) })
      named["max"] = wireNumber(maximum)
      members = [
        "meanKL": wireNumber(meanKL), "standardError": wireNumber(standardError), "quantiles": .object(named),
        "sameTopToken": JSON(sameTopToken), "perplexityRatio": wireNumber(perplexity / referencePerplexity),
        "perplexity": wireNumber(perplexity), "referencePerplexity": wireNumber(referencePerplexity),
        "tokens": JSON(tokens), "windows": JSON(windows),
      ]
    }
  }

  /// - Parameter reference: the model and the revision that it was at.
  package static func result(
    model: String, revision: String, reference: (model: String, revision: String), dataset: String, window: Int,
    _ facts: Facts, precision: String, diagnostics: JSON, seconds: Double
  ) -> JSON {
    var result: JSONObject = [
      "model": JSON(model), "revision": JSON(revision),
      "reference": ["model": JSON(reference.model), "revision": JSON(reference.revision)],
      "dataset": JSON(dataset), "window": JSON(window),
    ]
    for (key, value) in facts.members { result[key] = value }
    result["precision"] = JSON(precision)
    result["diagnostics"] = diagnostics
    result["seconds"] = JSON(seconds)
    return .object(result)
  }
}
