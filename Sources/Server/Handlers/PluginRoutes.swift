// plugin/list, load, unload, describe: the methods at hand.

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
    // Another plugin may come under the same id and version: what this one measured is not that one's.
    for (name, loaded) in context.sensitivities.all where loaded.question.pruning?.method.method.id == params.plugin {
      context.sensitivities.remove(name)
    }
    return .answer(PluginUnload.result(plugin: params.plugin))
  },
  Route(PluginDescribe.self, access: { _ in .reading(.plugins) }) { params, context in
    let details = try context.plugins.describe(id: params.plugin)
    let identity = details.identity
    return .answer(
      PluginDescribe.result(
        PluginFacts(details), vendor: identity.vendor, url: identity.url, licence: identity.licence,
        parameters: PluginDescribe.schema(details.methods[0]), methods: details.methods.map(PluginDescribe.method)))
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
    let first = details.methods[0]
    self.init(
      plugin: details.identity.id, path: details.path, kinds: details.methods.map(\.kind.rawValue),
      version: details.identity.version, summary: details.identity.summary,
      statistics: first.description.statistics.words, defaultGroup: first.defaultGroup?.rawValue)
  }
}

extension PluginDescribe {
  fileprivate static func schema(_ method: PluginMethod) -> [Parameter] {
    method.description.parameters.map(Parameter.init)
  }

  fileprivate static func method(_ method: PluginMethod) -> MethodFacts {
    var facts = MethodFacts(
      kind: method.kind.rawValue, statistics: method.description.statistics.words,
      defaultGroup: method.defaultGroup?.rawValue, parameters: schema(method))
    switch method {
    case .selector(let selector):
      facts.terms = selector.terms
      facts.compensator = selector.compensator
    case .unitSelector(let selector):
      facts.units = UnitKind.allCases.filter(selector.units.contains).map(\.rawValue)
      facts.needsLosses = selector.needsLosses
    case .compensator(let compensator):
      facts.changesBias = compensator.changesBias
    case .allocator(let allocator):
      facts.needsSensitivity = allocator.needsSensitivity
      facts.measures = allocator.measures
    case .objective(let objective):
      facts.needsTeacher = objective.needsTeacher
      facts.fixedTemperature = objective.fixedTemperature
    case .featureObjective(let objective):
      facts.perSequence = objective.isPerSequence
      facts.sameWidth = objective.needsSameWidth
    case .reward(let reward):
      facts.needsTeacher = reward.needsTeacher
      facts.needsAnswer = reward.needsAnswer
    case .solver, .blockCompensator, .refiner:
      break
    }
    return facts
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
    case .text(let fallback):
      self.init(
        name: parameter.name, text: fallback, maximumLength: ParameterDescription.textLimit,
        summary: parameter.summary)
    }
  }
}
