// revision/checkout: makes a branch current, or moves the current branch to a revision.

package import JSON

package enum RevisionCheckout: Method {
  package static let name = "revision/checkout"

  package struct Params: MethodParams {
    package let model: String
    /// A revision's id or a branch's name.
    package let target: String

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      let revision = try fields.optionalString("revision"), branch = try fields.optionalString("branch")
      let target = try fields.optionalString("target")
      let given = [target, revision, branch].compactMap { $0 }
      guard given.count == 1, let target = given.first else {
        throw fields.error(
          given.isEmpty ? .missingField : .outOfRange, "target",
          expected: "one of `target`, `revision` and `branch`: a revision's id or a branch's name")
      }
      self.target = target
    }
  }

  package static func result(_ place: PlaceFacts) -> JSON { place.json }
}
