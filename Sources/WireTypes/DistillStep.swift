// distill/step: a run takes some steps, and the client may watch.

package import JSON

package enum DistillStep: Method {
  package static let name = "distill/step"

  package struct Params: MethodParams {
    package let run: String
    package let steps: Int
    package let partialResultToken: JSON?

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      run = try fields.string("run")
      steps = try fields.int("steps", in: 1...100_000_000, default: 1)
      partialResultToken = try fields.partialResultToken()
    }
  }

  /// - Parameters:
  ///   - taken: steps of this request.
  ///   - metrics: of the last.
  package static func result(
    _ run: RunFacts, taken: Int, metrics: StepFacts?, diagnostics: JSON, seconds: Double
  ) -> JSON {
    var result = run.members
    result["taken"] = JSON(taken)
    result["metrics"] = metrics?.json ?? .null
    result["diagnostics"] = diagnostics
    result["seconds"] = JSON(seconds)
    return .object(result)
  }
}
