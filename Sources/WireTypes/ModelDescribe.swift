// model/describe: a model's tensors and layers at a revision.

package import JSON

package enum ModelDescribe: Method {
  package static let name = "model/describe"
  package typealias Params = RevisionParams

  package struct Tensor: Sendable {
    let json: JSON

    /// - Parameter storedName: the file's own name, where it is another one (GGUF).
    package init(
      name: String, storedName: String?, shape: [Int], dtype: String, bytes: Int, prunable: Bool, layer: Int?,
      sparsity: Double
    ) {
      json = [
        "name": JSON(name), "storedName": JSON(storedName), "shape": JSON(shape), "dtype": JSON(dtype),
        "bytes": JSON(bytes), "prunable": JSON(prunable), "layer": JSON(layer), "sparsity": JSON(sparsity),
      ]
    }
  }

  package struct Layer: Sendable {
    let json: JSON

    package init(_ widths: StructureFacts.Layer, parameters: Int, sparsity: Double) {
      var members = widths.members
      members["parameters"] = JSON(parameters)
      members["sparsity"] = JSON(sparsity)
      json = .object(members)
    }
  }

  package static func result(
    _ model: ModelFacts, revision: String, branch: String, sparsity: Double, configuration: JSON, tensors: [Tensor],
    layers: [Layer], structure: StructureFacts, weightsBytes: Int, maskBytes: Int
  ) -> JSON {
    var result = model.json
    result["revision"] = JSON(revision)
    result["branch"] = JSON(branch)
    result["sparsity"] = JSON(sparsity)
    result["configuration"] = configuration
    result["tensors"] = .array(tensors.map(\.json))
    result["layerSummary"] = .array(layers.map(\.json))
    result["originalLayers"] = JSON(structure.originalLayers)
    result["shrunkFrom"] = structure.shrunkFrom
    result["memory"] = ["weightsBytes": JSON(weightsBytes), "maskBytes": JSON(maskBytes)]
    return result
  }
}
