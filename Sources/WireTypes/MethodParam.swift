// How requests name a method beside the main one - what compensates, refines, shares out - and fill in its parameters.

package import JSON

/// A plugin with its parameters: given as its id, or as {plugin, parameters?}.
package struct MethodParam: Sendable {
  package let plugin: String
  /// As given; the plugin's own description says what is allowed.
  package let parameters: JSONObject
  /// Where the parameters are, for messages.
  package let path: String

  /// A plugin with its defaults.
  package init(plugin: String) {
    self.plugin = plugin
    parameters = [:]
    path = "params"
  }

  init(_ json: JSON, at path: String) throws(JSONFieldError) {
    if let plugin = json.string {
      self.plugin = plugin
      parameters = [:]
    } else if json.object != nil {
      var fields = try JSONFields(json, at: path)
      self = try MethodParam(&fields)
      try fields.finish()
      return
    } else {
      throw JSONFieldError(
        .wrongType, path: path, expected: "a plugin's id, or an object with plugin and parameters", given: json)
    }
    self.path = path + ".parameters"
  }

  init(_ fields: inout JSONFields) throws(JSONFieldError) {
    plugin = try fields.string("plugin")
    parameters = try fields.optionalObject("parameters") ?? [:]
    path = fields.path(of: "parameters")
  }
}

extension JSONFields {
  /// A method, or nil if the member is left out or is "none".
  mutating func optionalMethod(_ key: String) throws(JSONFieldError) -> MethodParam? {
    guard let json = optionalValue(key), json.string != "none" else { return nil }
    return try MethodParam(json, at: path(of: key))
  }

  /// One method or a list of methods; "none" is an empty list, and nil says that the member was left out.
  mutating func optionalMethods(_ key: String) throws(JSONFieldError) -> [MethodParam]? {
    guard let json = optionalValue(key) else { return nil }
    if json.string == "none" { return [] }
    guard let elements = json.array else { return [try MethodParam(json, at: path(of: key))] }
    var methods: [MethodParam] = []
    for (index, element) in elements.enumerated() {
      methods.append(try MethodParam(element, at: "\(path(of: key))[\(index)]"))
    }
    return methods
  }
}
