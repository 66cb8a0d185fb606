// prune/run: a whole pruning in one request, layer after layer where the method uses statistics.

package import JSON

package enum PruneRun: Method {
  package static let name = "prune/run"

  package struct Params: MethodParams {
    package let model: String
    /// The selector or solver.
    package let criterion: CriterionParam
    package let terms: [(name: String, scores: String)]
    package let refinement: MethodParam?
    /// Nil: the method's own.
    package let compensation: [MethodParam]?
    /// Nil: the method's own.
    package let rounds: Int?
    package let allocation: AllocationParam?
    package let target: SparsityParam
    package let group: String?
    /// Nil: true for methods that use statistics.
    package let sequential: Bool?
    package let layerErrors: Bool
    package let precision: String

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      criterion = try CriterionParam(&fields)
      terms = try fields.optionalTerms("terms")
      refinement = try fields.optionalMethod("refinement")
      compensation = try fields.optionalMethods("compensation")
      rounds = try fields.optionalInt("rounds", in: 1...64)
      allocation = try fields.optionalAllocation("allocation")
      target = try SparsityParam(&fields)
      group = try fields.optionalString("group", oneOf: groupNames)
      sequential = try fields.optionalBool("sequential")
      layerErrors = try fields.bool("layerErrors", default: true)
      precision = try fields.precision()
    }
  }

  /// - Parameter layerErrors: relative squared error of each layer's output; nil unless the run was sequential.
  package static func result(
    _ pruned: PrunedFacts, sequential: Bool, layerErrors: [Double]?, reusedLayers: Int, neededLayers: Int,
    diagnostics: JSON, seconds: Double
  ) -> JSON {
    var result = pruned.json
    result["sequential"] = JSON(sequential)
    result["layerError"] = layerErrors.map { .array($0.map(wireNumber)) } ?? .null
    result["statisticsReused"] = JSON(neededLayers > 0 && reusedLayers == neededLayers)
    result["reusedLayers"] = JSON(reusedLayers)
    result["neededLayers"] = JSON(neededLayers)
    result["diagnostics"] = diagnostics
    result["seconds"] = JSON(seconds)
    return result
  }
}
