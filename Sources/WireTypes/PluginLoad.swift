// plugin/load: loads one shared library.

package import JSON

package enum PluginLoad: Method {
  package static let name = "plugin/load"

  package struct Params: MethodParams {
    package let path: String

    package init(_ fields: inout JSONFields) throws(JSONFieldError) { path = try fields.string("path") }
  }

  package static func result(_ plugin: PluginFacts) -> JSON { plugin.json }
}
