// plugin/describe: what a plugin is and takes; its parameters as a JSON schema.

package import JSON

package enum PluginDescribe: Method {
  package static let name = "plugin/describe"
  package typealias Params = PluginParams

  /// A parameter and its bounds.
  package struct Parameter: Sendable {
    let name: String
    let schema: JSON

    package init(name: String, number fallback: Double, minimum: Double, maximum: Double, summary: String) {
      self.name = name
      schema = [
        "type": "number", "default": JSON(fallback), "minimum": JSON(minimum), "maximum": JSON(maximum),
        "description": JSON(summary),
      ]
    }

    package init(name: String, integer fallback: Int, minimum: Int, maximum: Int, summary: String) {
      self.name = name
      schema = [
        "type": "integer", "default": JSON(fallback), "minimum": JSON(minimum), "maximum": JSON(maximum),
        "description": JSON(summary),
      ]
    }

    package init(name: String, boolean fallback: Bool, summary: String) {
      self.name = name
      schema = ["type": "boolean", "default": JSON(fallback), "description": JSON(summary)]
    }

    package init(name: String, choice fallback: String, of words: [String], summary: String) {
      self.name = name
      schema = [
        "type": "string", "enum": .array(words.map { JSON($0) }), "default": JSON(fallback),
        "description": JSON(summary),
      ]
    }
  }

  package static func result(
    _ plugin: PluginFacts, vendor: String?, url: String?, licence: String?, parameters: [Parameter]
  ) -> JSON {
    var result = plugin.json
    result["vendor"] = JSON(vendor)
    result["url"] = JSON(url)
    result["licence"] = JSON(licence)
    result["parameters"] = [
      "type": "object", "additionalProperties": false,
      "properties": .object(JSONObject(parameters.map { ($0.name, $0.schema) })),
    ]
    return result
  }
}
