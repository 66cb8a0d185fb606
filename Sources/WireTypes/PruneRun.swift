// prune/run: scores and masks in one request, layer after layer where the method uses statistics.

package import JSON

package enum PruneRun: Method {
  package static let name = "prune/run"

  package struct Params: MethodParams {
    package let model: String
    package let criterion: CriterionParam
    package let target: SparsityParam
    package let group: String?
    /// Nil: true for methods that use statistics.
    package let sequential: Bool?

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      criterion = try CriterionParam(&fields)
      target = try SparsityParam(&fields)
      group = try fields.optionalString("group", oneOf: groupNames)
      sequential = try fields.optionalBool("sequential")
    }
  }

  /// - Parameter layerErrors: relative squared error of each layer's output; nil unless the run was sequential.
  package static func result(
    _ pruned: PrunedFacts, sequential: Bool, layerErrors: [Double]?, seconds: Double
  ) -> JSON {
    var result = pruned.json
    result["sequential"] = JSON(sequential)
    result["layerError"] = layerErrors.map { .array($0.map(wireNumber)) } ?? .null
    result["seconds"] = JSON(seconds)
    return result
  }
}
