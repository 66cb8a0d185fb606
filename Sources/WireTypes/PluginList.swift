// plugin/list: the plugins that were found, the refused ones with their reasons.

package import JSON

package enum PluginList: Method {
  package static let name = "plugin/list"
  package typealias Params = NoParams

  package static func result(_ plugins: [PluginFacts]) -> JSON { ["plugins": .array(plugins.map(\.json))] }
}

/// A plugin file, in use or refused.
package struct PluginFacts: Sendable {
  let json: JSON

  /// - Parameters:
  ///   - kinds: of its methods, at least one; `statistics` and `defaultGroup` are those of the first.
  package init(
    plugin: String, path: String, kinds: [String], version: String, summary: String, statistics: String,
    defaultGroup: String?
  ) {
    json = [
      "plugin": JSON(plugin), "path": JSON(path), "state": "loaded", "kind": JSON(kinds.first), "kinds": JSON(kinds),
      "version": JSON(version), "summary": JSON(summary), "statistics": JSON(statistics),
      "defaultGroup": JSON(defaultGroup),
    ]
  }

  package init(rejected path: String, errorKind: String, reason: String, message: String) {
    json = [
      "plugin": nil, "path": JSON(path), "state": "rejected",
      "error": ["kind": JSON(errorKind), "reason": JSON(reason), "message": JSON(message)],
    ]
  }
}
