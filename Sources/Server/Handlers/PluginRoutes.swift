// plugin/list, load, unload, describe: the criteria at hand.

import Compression
import PluginHost
import WireTypes

let pluginRoutes = [
  Route(PluginList.self, access: { _ in .reading(.plugins) }) { _, context in
    .answer(PluginList.result(context.plugins.list().map { facts($0, context) }))
  },
  Route(PluginLoad.self, access: { _ in .writing(.plugins) }) { params, context in
    .work(.files) { _ in
      PluginLoad.result(PluginFacts(try context.plugins.load(path: params.path)))
    }
  },
  Route(PluginUnload.self, access: { _ in .writing(.plugins) }) { params, context in
    try context.plugins.unload(id: params.plugin)
    return .answer(PluginUnload.result(plugin: params.plugin))
  },
  Route(PluginDescribe.self, access: { _ in .reading(.plugins) }) { params, context in
    let details = try context.plugins.describe(id: params.plugin)
    let identity = details.identity
    return .answer(
      PluginDescribe.result(
        PluginFacts(details), vendor: identity.vendor, url: identity.url, licence: identity.licence,
        parameters: details.selector.method.parameters.map(PluginDescribe.Parameter.init)))
  },
]

private func facts(_ listing: PluginListing, _ context: ServerContext) -> PluginFacts {
  switch listing.state {
  case .loaded(let identity):
    if let details = try? context.plugins.describe(id: identity.id) { return PluginFacts(details) }
    return PluginFacts(
      rejected: listing.path, errorKind: "pluginNotFound", reason: "unloaded", message: "It was just unloaded.")
  case .rejected(let error):
    var reason = error.kind
    if case .rejected(_, let rejection) = error { reason = rejection.reason }
    return PluginFacts(rejected: listing.path, errorKind: error.kind, reason: reason, message: error.message)
  }
}

extension PluginFacts {
  fileprivate init(_ details: PluginDetails) {
    let selector = details.selector
    self.init(
      plugin: selector.method.id, path: details.path, kind: "selector", version: selector.method.version,
      summary: selector.method.summary, statistics: selector.method.statistics.words,
      defaultGroup: selector.defaultGroup.rawValue)
  }
}

extension PluginDescribe.Parameter {
  fileprivate init(_ parameter: ParameterDescription) {
    switch parameter.kind {
    case .number(let fallback, let minimum, let maximum):
      self.init(
        name: parameter.name, number: fallback, minimum: minimum, maximum: maximum, summary: parameter.summary)
    case .integer(let fallback, let minimum, let maximum):
      self.init(
        name: parameter.name, integer: Int(fallback), minimum: Int(minimum), maximum: Int(maximum),
        summary: parameter.summary)
    case .boolean(let fallback):
      self.init(name: parameter.name, boolean: fallback, summary: parameter.summary)
    case .choice(let fallback, let words):
      self.init(name: parameter.name, choice: words[fallback], of: words, summary: parameter.summary)
    }
  }
}
