// prune/run: a whole pruning in one request, layer after layer where the method uses statistics.

package import JSON

package enum PruneRun: Method {
  package static let name = "prune/run"

  package struct Params: MethodParams {
    package let model: String
    package let pruning: PruningParam
    package let target: SparsityParam
    /// Nil: true for methods that use statistics.
    package let sequential: Bool?
    package let layerErrors: Bool
    package let precision: String

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      pruning = try PruningParam(&fields)
      target = try SparsityParam(&fields)
      sequential = try fields.optionalBool("sequential")
      layerErrors = try fields.bool("layerErrors", default: true)
      precision = try fields.precision()
    }
  }

  /// - Parameter layerErrors: relative squared error of each layer's output; nil unless the run was sequential.
  package static func result(
    _ pruned: PrunedFacts, sequential: Bool, layerErrors: [Double]?, statistics: StatisticsFacts, diagnostics: JSON,
    seconds: Double
  ) -> JSON {
    var result = pruned.json
    result["sequential"] = JSON(sequential)
    result["layerError"] = layerErrors.map { .array($0.map(wireNumber)) } ?? .null
    statistics.add(to: &result)
    result["diagnostics"] = diagnostics
    result["seconds"] = JSON(seconds)
    return result
  }
}
