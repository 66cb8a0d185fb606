// evaluate/perplexity: how well a revision predicts a dataset, window by window.

package import JSON

package enum EvaluatePerplexity: Method {
  package static let name = "evaluate/perplexity"

  package struct Params: MethodParams {
    package let model: String
    package let revision: String?
    package let dataset: String
    /// Tokens of a window; nil: the dataset's sequence length.
    package let window: Int?
    package let perWindow: Bool
    /// What matrix products are computed in: `fp32` or `bf16`.
    package let precision: String

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      revision = try fields.optionalString("revision")
      dataset = try fields.string("dataset")
      window = try fields.optionalInt("window", in: 2...(1 << 20))
      perWindow = try fields.bool("perWindow", default: true)
      precision = try fields.precision()
    }
  }

  /// - Parameters:
  ///   - nll, standardError, perWindow: nats per predicted token.
  ///   - tokens: predicted tokens.
  package static func result(
    model: String, revision: String, dataset: String, window: Int, perplexity: Double, nll: Double,
    standardError: Double, tokens: Int, windows: Int, perWindow: [Double]?, precision: String, diagnostics: JSON,
    seconds: Double
  ) -> JSON {
    var result: JSONObject = [
      "model": JSON(model), "revision": JSON(revision), "dataset": JSON(dataset), "window": JSON(window),
      "perplexity": wireNumber(perplexity), "nll": wireNumber(nll), "standardError": wireNumber(standardError),
      "tokens": JSON(tokens), "windows": JSON(windows), "reusedLayers": 0,
      "precision": JSON(precision), "diagnostics": diagnostics, "seconds": JSON(seconds),
    ]
    if let perWindow { result["perWindow"] = JSON(perWindow) }
    return .object(result)
  }
}
