// prune/shrink: a smaller model without the units that masks prune whole.

package import JSON

package enum PruneShrink: Method {
  package static let name = "prune/shrink"

  package struct Params: MethodParams {
    package let model: String
    package let revision: String?
    /// Of the new model.
    package let name: String
    package let uniform: Bool
    /// Scores of heads by which cut ones are added back to those that stay; nil for none.
    package let residualScores: String?

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      revision = try fields.optionalString("revision")
      name = try fields.optionalName("name") ?? model + "-shrunk"
      uniform = try fields.bool("uniform", default: false)
      let residualHeads = try fields.bool("residualHeads", default: false)
      let scores = try fields.optionalString("scores")
      if residualHeads, scores == nil {
        throw fields.error(.missingField, "scores", expected: "scores of heads, by which residualHeads ranks them")
      }
      if !residualHeads, scores != nil {
        throw fields.error(.outOfRange, "scores", expected: "nothing unless residualHeads is true")
      }
      residualScores = scores
    }
  }

  /// - Parameter isStandard: whether other programs can read an export.
  package static func result(
    _ model: ModelFacts, revision: String, structure: StructureFacts, isStandard: Bool, parametersBefore: Int,
    diagnostics: JSON, seconds: Double
  ) -> JSON {
    var result = model.json
    result["revision"] = JSON(revision)
    result["shrunkFrom"] = structure.shrunkFrom
    result["originalLayers"] = JSON(structure.originalLayers)
    result["layerWidths"] = .array(structure.layers.map { .object($0.members) })
    result["standard"] = JSON(isStandard)
    result["parametersBefore"] = JSON(parametersBefore)
    result["diagnostics"] = diagnostics
    result["seconds"] = JSON(seconds)
    return result
  }
}

/// How wide a model's layers are, and what it was shrunk from.
package struct StructureFacts: Sendable {
  package struct Layer: Sendable {
    let members: JSONObject

    package init(layer: Int, heads: Int, keyValueHeads: Int, neurons: Int) {
      members = [
        "layer": JSON(layer), "heads": JSON(heads), "keyValueHeads": JSON(keyValueHeads), "neurons": JSON(neurons),
      ]
    }
  }

  let layers: [Layer]
  let originalLayers: [Int]
  let shrunkFrom: JSON

  /// - Parameter shrunkFrom: nil for a model that was loaded.
  package init(layers: [Layer], originalLayers: [Int], shrunkFrom: (model: String, revision: String)?) {
    self.layers = layers
    self.originalLayers = originalLayers
    self.shrunkFrom = shrunkFrom.map { ["model": JSON($0.model), "revision": JSON($0.revision)] } ?? .null
  }
}
