// revision/branch: makes a branch at a revision and makes it current.

package import JSON

package enum RevisionBranch: Method {
  package static let name = "revision/branch"

  package struct Params: MethodParams {
    package let model: String
    package let name: String
    /// Nil: the current one.
    package let revision: String?

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      name = try fields.string("name")
      revision = try fields.optionalString("revision")
    }
  }

  package static func result(_ place: PlaceFacts) -> JSON { place.json }
}
