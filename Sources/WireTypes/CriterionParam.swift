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
    modules = try fields.optionalStrings("modules")
  }
}
