// plugin/describe: what a plugin is and takes; its methods, with their parameters as JSON schemas.

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

    package init(name: String, text fallback: String, maximumLength: Int, summary: String) {
      self.name = name
      schema = [
        "type": "string", "default": JSON(fallback), "maxLength": JSON(maximumLength), "description": JSON(summary),
      ]
    }
  }

  /// One method; what its kind does not have is nil and left out.
  package struct MethodFacts: Sendable {
    let kind: String
    let statistics: String
    let defaultGroup: String?
    let parameters: [Parameter]
    package var terms: [String]?
    package var compensator: String?
    package var units: [String]?
    package var needsLosses: Bool?
    package var changesBias: Bool?
    package var needsSensitivity: Bool?
    package var measures: Bool?
    package var needsTeacher: Bool?
    package var fixedTemperature: Bool?
    package var perSequence: Bool?
    package var sameWidth: Bool?
    package var needsAnswer: Bool?

    package init(kind: String, statistics: String, defaultGroup: String?, parameters: [Parameter]) {
      self.kind = kind
      self.statistics = statistics
      self.defaultGroup = defaultGroup
      self.parameters = parameters
    }

    var json: JSON {
      var json: JSON = ["kind": JSON(kind), "statistics": JSON(statistics)]
      if let defaultGroup { json["defaultGroup"] = JSON(defaultGroup) }
      if let units { json["units"] = JSON(units) }
      if let needsLosses { json["needsLosses"] = JSON(needsLosses) }
      if let terms { json["terms"] = JSON(terms) }
      if let compensator { json["compensator"] = JSON(compensator) }
      if let changesBias { json["changesBias"] = JSON(changesBias) }
      if let needsSensitivity { json["needsSensitivity"] = JSON(needsSensitivity) }
      if let measures { json["measures"] = JSON(measures) }
      if let needsTeacher { json["needsTeacher"] = JSON(needsTeacher) }
      if let fixedTemperature { json["fixedTemperature"] = JSON(fixedTemperature) }
      if let perSequence { json["perSequence"] = JSON(perSequence) }
      if let sameWidth { json["sameWidth"] = JSON(sameWidth) }
      if let needsAnswer { json["needsAnswer"] = JSON(needsAnswer) }
      json["parameters"] = schema(parameters)
      return json
    }
  }

  package static func result(
    _ plugin: PluginFacts, vendor: String?, url: String?, licence: String?, parameters: [Parameter],
    methods: [MethodFacts]
  ) -> JSON {
    var result = plugin.json
    result["vendor"] = JSON(vendor)
    result["url"] = JSON(url)
    result["licence"] = JSON(licence)
    result["parameters"] = schema(parameters)
    result["methods"] = .array(methods.map(\.json))
    return result
  }

  private static func schema(_ parameters: [Parameter]) -> JSON {
    [
      "type": "object", "additionalProperties": false,
      "properties": .object(JSONObject(parameters.map { ($0.name, $0.schema) })),
    ]
  }
}
