// mask/load: reads masks from a safetensors file, as a new revision.

package import JSON

package enum MaskLoad: Method {
  package static let name = "mask/load"

  package struct Params: MethodParams {
    package let model: String
    package let path: String

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      path = try fields.string("path")
    }
  }

  /// - Parameter provenance: what the file says of itself.
  package static func result(_ pruned: PrunedFacts, provenance: [(name: String, value: String)]) -> JSON {
    var result = pruned.json
    result["provenance"] = .object(JSONObject(provenance.map { ($0.name, JSON($0.value)) }))
    return result
  }
}
