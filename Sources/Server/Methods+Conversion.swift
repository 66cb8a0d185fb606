// From the methods that a request names to methods with checked parameters.

import Compression
import JSON
import OrderedCollections
import PluginHost
import WireTypes
import Workspace

extension ServerContext {
  /// The selector of a request.
  /// - Throws: `PluginError`; `JSONFieldError` for parameters that are unknown or out of range.
  func criterion(_ param: CriterionParam) throws -> Criterion {
    let selector = try plugins.selector(id: param.plugin)
    return Criterion(
      selector, parameters: try values(selector.description.method, param.parameters, at: "params.parameters"))
  }

  /// What chooses the weights: a selector, or a solver if the plugin is one.
  func pruningMethod(_ param: CriterionParam) throws -> PruningMethod {
    guard try plugins.describe(id: param.plugin).offers(.solver) else { return .selector(try criterion(param)) }
    let solver = try plugins.solver(id: param.plugin)
    let parameters = try values(solver.description.method, param.parameters, at: "params.parameters")
    return .solver(Configured(solver, parameters: parameters))
  }

  func refiner(_ param: MethodParam) throws -> Configured<any Refiner> {
    let refiner = try plugins.refiner(id: param.plugin)
    return Configured(refiner, parameters: try values(refiner.description, param.parameters, at: param.path))
  }

  func objective(_ param: MethodParam) throws -> Configured<any Objective> {
    let objective = try plugins.objective(id: param.plugin)
    return Configured(
      objective, parameters: try values(objective.description.method, param.parameters, at: param.path))
  }

  func featureObjective(_ param: MethodParam) throws -> Configured<any FeatureObjective> {
    let objective = try plugins.featureObjective(id: param.plugin)
    return Configured(
      objective, parameters: try values(objective.description.method, param.parameters, at: param.path))
  }

  /// Puts compensators into `plan`: at most one for matrices and one for blocks.
  func compensate(_ plan: inout PruningPlan, with params: [MethodParam]) throws {
    for param in params {
      if try plugins.describe(id: param.plugin).offers(.blockCompensator) {
        let fit = try plugins.blockCompensator(id: param.plugin)
        guard plan.blockCompensator == nil else { throw ServerError.methodTwice(kind: "block-compensator") }
        plan.blockCompensator = Configured(
          fit, parameters: try values(fit.description, param.parameters, at: param.path))
      } else {
        let compensator = try plugins.compensator(id: param.plugin)
        guard plan.compensator == nil else { throw ServerError.methodTwice(kind: "compensator") }
        plan.compensator = Configured(
          compensator, parameters: try values(compensator.description.method, param.parameters, at: param.path))
      }
    }
  }

  func allocation(_ param: AllocationParam, of model: LoadedModel) throws -> AllocationRequest {
    var request = AllocationRequest()
    request.pins = param.pins
    request.holdsTotal = param.holdsTotal
    if let name = param.sensitivity {
      let measured = try sensitivity(name, of: model)
      guard measured.question.pruning != nil else {
        throw JSONFieldError(
          .outOfRange, path: "params.allocation.sensitivity",
          expected: "a handle of sparsities, not of layers that were left out whole", given: .string(name))
      }
      request.sensitivity = measured.table.curves
      request.sensitivityData = measured.question.digests
    }
    if let method = param.method {
      let allocator = try plugins.allocator(id: method.plugin)
      if let name = param.sensitivity, !allocator.description.needsSensitivity {
        throw JSONFieldError(
          .outOfRange, path: "params.allocation.sensitivity",
          expected: "nothing, as the allocator \"\(method.plugin)\" does not go by one", given: .string(name))
      }
      request.allocator = Configured(
        allocator, parameters: try values(allocator.description.method, method.parameters, at: method.path))
    }
    return request
  }

  /// Scores that a request adds to a selector's own, checked against the names that it knows.
  func terms(
    _ params: [(name: String, scores: String)], for criterion: Criterion, model: String
  ) throws -> [(name: String, scores: ScoreSet)] {
    try params.map { param in
      let known = criterion.description.terms
      guard known.contains(param.name) else {
        throw CompressionError.termsInvalid(
          plugin: criterion.id,
          reason: known.isEmpty
            ? "it takes none" : "\"\(param.name)\" is none of \(known.joined(separator: ", "))")
      }
      let set = try scoreSet(param.scores)
      guard set.provenance.model == model else {
        throw CompressionError.scoresOfAnotherModel(scores: param.scores, model: set.provenance.model)
      }
      return (param.name, set)
    }
  }

  /// One value for each parameter that a method describes, defaults filled in.
  func values(
    _ method: MethodDescription, _ given: JSONObject, at path: String
  ) throws(JSONFieldError) -> OrderedDictionary<String, ParameterValue> {
    var fields = JSONFields(members: given, at: path)
    var values: OrderedDictionary<String, ParameterValue> = [:]
    for parameter in method.parameters {
      switch parameter.kind {
      case .number(let fallback, let minimum, let maximum):
        values[parameter.name] = .number(
          try fields.double(parameter.name, in: minimum...maximum, default: fallback))
      case .integer(let fallback, let minimum, let maximum):
        values[parameter.name] = .integer(
          Int64(try fields.int(parameter.name, in: Int(minimum)...Int(maximum), default: Int(fallback))))
      case .boolean(let fallback):
        values[parameter.name] = .boolean(try fields.bool(parameter.name, default: fallback))
      case .choice(let fallback, let words):
        let word = try fields.optionalString(parameter.name, oneOf: words) ?? words[fallback]
        values[parameter.name] = .choice(index: words.firstIndex(of: word) ?? fallback, word: word)
      case .text(let fallback):
        let text = try fields.optionalString(parameter.name, limit: ParameterDescription.textLimit) ?? fallback
        guard !text.utf8.contains(0) else {
          throw JSONFieldError(
            .outOfRange, path: "\(path).\(parameter.name)", expected: "text without U+0000", given: .string(text))
        }
        values[parameter.name] = .text(text)
      }
    }
    try fields.finish()
    return values
  }
}

extension AllocationRequest {
  /// - Throws: `CompressionError.datasetRequired` if the allocator looks at data and there are none.
  func require(_ dataset: Dataset?) throws(CompressionError) {
    if dataset == nil, statistics != .none { throw .datasetRequired(plugin: allocator?.id ?? "") }
  }

  /// What reproduces it, for the details of an operation.
  /// - Parameter dataset: what the allocator looked at, where that is not said elsewhere.
  func details(_ param: AllocationParam, dataset: Dataset?) -> OrderedDictionary<String, String> {
    var details: OrderedDictionary = ["allocation": allocator?.summary ?? "uniform"]
    for pin in pins { details["allocation.\(pin.glob)"] = "\(pin.sparsity)" }
    if !holdsTotal { details["allocation.holdTotal"] = "false" }
    details["allocation.sensitivity"] = param.sensitivity
    if statistics != .none { details["allocation.dataset"] = dataset?.digest }
    return details
  }

  /// Digests of the data that it goes by.
  func calibration(_ dataset: Dataset?) -> Set<String> {
    sensitivityData.union(statistics == .none ? [] : [dataset?.digest].compactMap(\.self))
  }
}

extension DiagnosticFacts {
  init(_ diagnostic: Diagnostic) {
    self.init(
      severity: diagnostic.severity.rawValue, kind: diagnostic.kind, tensor: diagnostic.tensor,
      message: diagnostic.message)
  }
}

extension Diagnostics {
  /// All of them, as an answer has them.
  var json: JSON {
    let (kept, dropped) = all
    return DiagnosticFacts.list(kept.map(DiagnosticFacts.init), dropped: dropped)
  }
}
