// How requests name a plugin and fill in its parameters: shared by importance/score and prune/run.

package import JSON

package struct CriterionParam: Sendable {
  package let plugin: String
  /// As given; a plugin's own description says what is allowed.
  package let parameters: JSONObject
  package let dataset: String?
  /// Globs over tensor names; nil takes all prunable tensors.
  package let modules: [String]?

  init(_ fields: inout JSONFields) throws(JSONFieldError) {
    plugin = try fields.string("plugin")
    parameters = try fields.optionalObject("parameters") ?? [:]
    dataset = try fields.optionalString("dataset")
    modules = try fields.optionalGlobs("modules")
  }
}

extension JSONFields {
  /// Globs over tensor names, at least one.
  mutating func optionalGlobs(_ key: String) throws(JSONFieldError) -> [String]? {
    let globs = try optionalStrings(key)
    if globs?.isEmpty == true {
      throw error(.outOfRange, key, expected: "at least one glob; leave it out to take all")
    }
    return globs
  }
}
