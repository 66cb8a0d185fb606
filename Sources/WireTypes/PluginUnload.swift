// plugin/unload: forgets a plugin.

package import JSON

/// Parameters of methods that take just a plugin.
package struct PluginParams: MethodParams {
  package let plugin: String

  package init(_ fields: inout JSONFields) throws(JSONFieldError) { plugin = try fields.string("plugin") }
}

package enum PluginUnload: Method {
  package static let name = "plugin/unload"
  package typealias Params = PluginParams

  package static func result(plugin: String) -> JSON { ["plugin": JSON(plugin), "unloaded": true] }
}
