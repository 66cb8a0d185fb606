// revision/forget: gives the memory of revisions back that nobody wants any more.

package import JSON

package enum RevisionForget: Method {
  package static let name = "revision/forget"

  package struct Params: MethodParams {
    package let model: String
    package let revision: String

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      revision = try fields.string("revision")
    }
  }

  package static func result(_ place: PlaceFacts, forgotten: [String]) -> JSON {
    var result = place.json
    result["forgotten"] = .array(forgotten.map { JSON($0) })
    return result
  }
}
