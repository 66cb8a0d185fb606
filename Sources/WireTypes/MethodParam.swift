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

/// How sparsity is shared out among tensors: a plugin's id, or an object.
package struct AllocationParam: Sendable {
  /// Nil shares out evenly.
  package let method: MethodParam?
  /// Sparsities by glob over tensor names, in order.
  package let pins: [(glob: String, sparsity: Double)]
  package let holdsTotal: Bool
  /// A handle of evaluate/sensitivity.
  package let sensitivity: String?

  init(_ json: JSON, at path: String) throws(JSONFieldError) {
    guard json.object != nil else {
      method = json.string == "uniform" ? nil : try MethodParam(json, at: path)
      pins = []
      holdsTotal = true
      sensitivity = nil
      return
    }
    var fields = try JSONFields(json, at: path)
    method = fields.has("plugin") ? try MethodParam(&fields) : nil
    var pins: [(glob: String, sparsity: Double)] = []
    if let modules = try fields.optionalObject("modules") {
      var sparsities = JSONFields(members: modules, at: fields.path(of: "modules"))
      for glob in modules.keys { pins.append((glob, try sparsities.double(glob, in: 0...1))) }
    }
    self.pins = pins
    holdsTotal = try fields.bool("holdTotal", default: true)
    sensitivity = try fields.optionalString("sensitivity")
    try fields.finish()
  }
}

extension JSONFields {
  mutating func optionalAllocation(_ key: String) throws(JSONFieldError) -> AllocationParam? {
    guard let json = optionalValue(key) else { return nil }
    return try AllocationParam(json, at: path(of: key))
  }

  /// Handles of scores by the name of the term that they are: `{"reward": "s3"}`.
  mutating func optionalTerms(_ key: String) throws(JSONFieldError) -> [(name: String, scores: String)] {
    guard let members = try optionalObject(key) else { return [] }
    var fields = JSONFields(members: members, at: path(of: key))
    var terms: [(name: String, scores: String)] = []
    for name in members.keys { terms.append((name, try fields.string(name))) }
    return terms
  }
}

/// Training of a copy of the model while gradients are summed.
package struct TrainingParam: Sendable {
  package let steps: Int
  package let learningRate: Double

  init(_ fields: inout JSONFields) throws(JSONFieldError) {
    steps = try fields.int("steps", in: 1...1_000_000)
    learningRate = try fields.double("learningRate", in: 0...1)
    try fields.finish()
  }
}
