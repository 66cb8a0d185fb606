// mask/apply: turns scores into masks at a sparsity, as a new revision. Never calls the plugin.

package import JSON

package enum MaskApply: Method {
  package static let name = "mask/apply"

  package struct Params: MethodParams {
    package let model: String
    package let scores: String
    package let target: SparsityParam
    /// Nil: the method's own.
    package let group: String?
    package let ties: String
    package let modules: [String]?
    package let allocation: AllocationParam?
    /// Calibration data of an allocator.
    package let dataset: String?
    /// Scores of units only: whether each key/value head loses the same number of its heads.
    package let uniform: Bool?

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      scores = try fields.string("scores")
      target = try SparsityParam(&fields)
      group = try fields.optionalString("group", oneOf: groupNames)
      ties = try fields.ties()
      modules = try fields.optionalGlobs("modules")
      allocation = try fields.optionalAllocation("allocation")
      dataset = try fields.optionalString("dataset")
      uniform = try fields.optionalBool("uniform")
    }
  }

  /// How many units of a group there are, and are pruned.
  package typealias CutUnits = (unit: String, layer: Int?, count: Int, cut: Int)

  /// - Parameter units: by scores of units; nil by those of weights.
  package static func result(
    _ pruned: PrunedFacts, units: [CutUnits]? = nil, diagnostics: JSON, seconds: Double
  ) -> JSON {
    var result = pruned.json
    if let units {
      result["units"] = .array(
        units.map {
          ["unit": JSON($0.unit), "layer": JSON($0.layer), "count": JSON($0.count), "cut": JSON($0.cut)]
        })
    }
    result["diagnostics"] = diagnostics
    result["seconds"] = JSON(seconds)
    return result
  }
}

/// A revision that new masks made.
package struct PrunedFacts: Sendable {
  let json: JSON

  /// - Parameters:
  ///   - sparsity: of the tensors that were masked.
  ///   - modelSparsity: of all parameters.
  package init(
    model: String, revision: String, parent: String?, sparsity: Double, modelSparsity: Double,
    perTensor: [TensorSparsity]
  ) {
    json = [
      "model": JSON(model), "revision": JSON(revision), "parent": JSON(parent), "sparsity": JSON(sparsity),
      "modelSparsity": JSON(modelSparsity), "perTensor": .array(perTensor.map(\.json)),
    ]
  }
}
