// How requests say how much each tensor loses.

import JSON

/// How sparsity is shared out among tensors: a plugin's id, or an object.
package struct AllocationParam: Sendable {
  /// Nil shares out evenly.
  package let method: MethodParam?
  /// Sparsities by glob over tensor names, in order.
  package let pins: [(glob: String, sparsity: Double)]
  package let holdsTotal: Bool
  /// A handle of evaluate/sensitivity; without a plugin it is for the allocator of that name.
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
    let method = fields.has("plugin") ? try MethodParam(&fields) : nil
    var pins: [(glob: String, sparsity: Double)] = []
    if let modules = try fields.optionalObject("modules") {
      var sparsities = JSONFields(members: modules, at: fields.path(of: "modules"))
      for glob in modules.keys { pins.append((glob, try sparsities.double(glob, in: 0...1))) }
    }
    self.pins = pins
    holdsTotal = try fields.bool("holdTotal", default: true)
    sensitivity = try fields.optionalString("sensitivity")
    self.method = method ?? sensitivity.map { _ in MethodParam(plugin: "sensitivity") }
    try fields.finish()
  }
}

extension JSONFields {
  mutating func optionalAllocation(_ key: String) throws(JSONFieldError) -> AllocationParam? {
    guard let json = optionalValue(key) else { return nil }
    return try AllocationParam(json, at: path(of: key))
  }
}
