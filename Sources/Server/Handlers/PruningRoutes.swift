// prune/run: a whole pruning in one request.

import Checkpoints
import Compression
import JSON
import OrderedCollections
import Tensors
import WireTypes
import Workspace

let pruningRoutes = [
  Route(
    PruneRun.self, model: \.model,
    access: { params in
      .writing(.model(params.model), reading: .plugins, params.pruning.criterion.dataset.map { .dataset($0) })
        .reading(terms: params.pruning.terms)
    }, prepare: run)
]

private func run(_ params: PruneRun.Params, _ context: ServerContext) throws -> Plan {
  let work = try PruningWork(params, context)
  return .work(.compute) { monitor in
    let start = monotonicSeconds(), done = try work.run(monitor)
    return PruneRun.result(
      PrunedFacts(model: work.model.name, done.revision, tensors: done.result.tensors.keys),
      sequential: work.sequential, layerErrors: done.result.layerErrors,
      statistics: StatisticsFacts(reusedLayers: done.result.reusedLayers, neededLayers: done.result.neededLayers),
      diagnostics: done.diagnostics.json, seconds: monotonicSeconds() - start)
  }
}

/// A whole pruning of a model's current revision, with everything that it needs.
struct PruningWork: Sendable {
  let model: LoadedModel
  let sequential: Bool
  private let params: PruneRun.Params
  private let state: ModelState
  private let plan: PruningPlan
  private let allocation: AllocationRequest?
  private let dataset: Dataset?
  private let options: SequentialOptions
  private let store: StatisticsStore
  private let compute: Compute

  /// - Throws: what is wrong with the request.
  init(_ params: PruneRun.Params, _ context: ServerContext) throws {
    let model = try context.model(params.model), state = try model.state(nil)
    let plan = try context.plan(params.pruning, target: try SparsityTarget(params.target), of: model, state)
    let allocation = try params.pruning.allocation.map { try context.allocation($0, of: model) }
    let dataset = try params.pruning.criterion.dataset.map(context.uniformDataset)
    sequential = try isSequential(params, plan, dataset: dataset)
    if let allocation { try allocation.require(dataset) }
    self.params = params
    self.model = model
    self.state = state
    self.plan = plan
    self.allocation = allocation
    self.dataset = dataset
    var options = SequentialOptions()
    options.precision = Precision(rawValue: params.precision) ?? .fp32
    options.layerErrors = params.layerErrors
    self.options = options
    store = context.statistics
    compute = try context.compute()
  }

  /// Prunes, and makes the revision.
  func run(_ monitor: Monitor) throws -> (revision: Revision, result: PruningResult, diagnostics: Diagnostics) {
    let diagnostics = Diagnostics(tensors: plan.tensors.keys)
    var plan = plan
    if let allocation {
      plan = try plan.allocating(
        allocation, of: state, dataset: dataset, store: store, compute: compute, monitor: monitor.part(0...0.2),
        diagnostics: diagnostics)
    }
    let rest = monitor.part((allocation == nil ? 0 : 0.2)...1)
    let result =
      if sequential, let dataset {
        try pruneSequentially(
          state, plan: plan, dataset: dataset, options: options, store: store, compute: compute, monitor: rest,
          diagnostics: diagnostics)
      } else {
        try pruneAtOnce(
          state, plan: plan, dataset: dataset, store: store, compute: compute, monitor: rest, diagnostics: diagnostics)
      }
    try model.checkpoint.requireIntact()
    diagnostics.reportRestored(from: state.revision, by: result.masks)
    let revision = model.history.commit(
      operation(plan, params, allocation: allocation, dataset: dataset, sequential: sequential),
      tensors: state.replacing(result.tensors))
    return (revision, result, diagnostics)
  }
}

extension Diagnostics {
  /// Says how many weights that masks of `revision` prune the new ones keep again.
  fileprivate func reportRestored(from revision: Revision, by masks: OrderedDictionary<String, MaskBits>) {
    let restored = masks.reduce(0) { sum, new in
      guard let old = revision.tensors[new.key]?.mask else { return sum }
      return sum + new.value.keptCount - new.value.intersection(old.bits).keptCount
    }
    guard restored > 0 else { return }
    add(
      Diagnostic(
        .warning, kind: "weightsRestored",
        "\(restored) weights that \(revision.id) prunes are kept again: the masks of a run take the place of those "
          + "before. To prune further, ask for more than is pruned; to prune a smaller model, make it by prune/shrink first."))
  }
}

extension ServerContext {
  /// What a request asks for, without its allocation.
  func plan(
    _ params: PruningParam, target: SparsityTarget, of model: LoadedModel, _ state: ModelState
  ) throws -> PruningPlan {
    let method = try pruningMethod(params.criterion)
    let group = params.group.flatMap(MaskGroup.init) ?? method.defaultGroup
    var plan = PruningPlan(
      method: method, target: target, group: group.within(target),
      tensors: try state.prunableTensors(matching: params.criterion.modules))
    plan.ties = try ties(params.ties, target: target, group: plan.group)
    switch method {
    case .selector(let criterion):
      plan.terms = try terms(params.terms, for: criterion, model: model.name)
      plan.refiner = try params.refinement.map(refiner)
      let own = criterion.description.compensator.map { [MethodParam(plugin: $0)] }
      try compensate(&plan, with: params.compensation ?? own ?? [])
      if plan.group == .global, let after = plan.refiner?.id ?? plan.compensator?.id {
        throw CompressionError.groupNotContinued(plugin: after)
      }
      if let rounds = params.rounds, rounds > 1, plan.compensator == nil {
        throw JSONFieldError(
          .outOfRange, path: "params.rounds",
          expected: "nothing, or 1, without a compensator: rounds compensate in turns", given: JSON(rounds))
      }
      plan.rounds = plan.compensator == nil ? 1 : params.rounds ?? criterion.description.rounds
    case .solver(let solver):
      guard plan.ties == .first else {
        throw JSONFieldError(
          .outOfRange, path: "params.ties", expected: "\"first\": a solver shares out its ties", given: "all")
      }
      guard params.terms.isEmpty else {
        throw CompressionError.termsInvalid(plugin: solver.id, reason: "it takes none")
      }
      try compensate(&plan, with: params.compensation ?? [])
      if params.refinement != nil || plan.compensator != nil {
        throw CompressionError.solverIsWhole(plugin: solver.id)
      }
    }
    return plan
  }
}

/// What a request wants of equal scores.
func ties(_ name: String, target: SparsityTarget, group: MaskGroup) throws(JSONFieldError) -> Ties {
  let ties = Ties(rawValue: name) ?? .first
  guard ties.applies(to: target, in: group) else {
    throw JSONFieldError(
      .outOfRange, path: "params.ties", expected: "\"first\", or a sparsity within the group matrix or global",
      given: .string(name))
  }
  return ties
}

/// Whether the run goes layer by layer: as asked, or as the method was published.
private func isSequential(_ params: PruneRun.Params, _ plan: PruningPlan, dataset: Dataset?) throws -> Bool {
  let needs = plan.statistics(hasDataset: dataset != nil) != .none || plan.blockCompensator != nil
  let sequential = params.sequential ?? needs
  if sequential, plan.group == .global { throw CompressionError.groupNotSequential(group: plan.group.rawValue) }
  if dataset == nil, sequential || needs { throw CompressionError.datasetRequired(plugin: plan.asker) }
  if !sequential, let fit = plan.blockCompensator { throw CompressionError.blockFitNeedsSequence(plugin: fit.id) }
  return sequential
}

private func operation(
  _ plan: PruningPlan, _ params: PruneRun.Params, allocation: AllocationRequest?, dataset: Dataset?, sequential: Bool
) -> Operation {
  let method = plan.method.method
  var details: OrderedDictionary<String, String> = [
    "plugin": method.id, "pluginVersion": method.version, "sparsity": plan.target.description,
    "group": plan.group.rawValue, "sequential": "\(sequential)",
  ]
  if let modules = params.pruning.criterion.modules { details["modules"] = modules.joined(separator: " ") }
  if plan.ties != .first { details["ties"] = plan.ties.rawValue }
  for (name, value) in plan.method.parameters { details["parameters.\(name)"] = value.description }
  for term in params.pruning.terms { details["terms.\(term.name)"] = term.scores }
  details["refinement"] = plan.refiner?.summary
  details["compensation"] = plan.compensator?.summary
  if plan.rounds > 1 { details["rounds"] = "\(plan.rounds)" }
  details["blockCompensation"] = plan.blockCompensator?.summary
  if let param = params.pruning.allocation, let allocation {
    details.merge(allocation.details(param, dataset: nil)) { _, new in new }
  }
  if params.precision != Precision.fp32.rawValue { details["precision"] = params.precision }
  details["dataset"] = dataset?.digest
  // Data that nothing was read from says nothing about the revision.
  let uses = plan.blockCompensator != nil || plan.statistics(hasDataset: dataset != nil) != .none
  let calibration = plan.terms.reduce(into: Set(uses ? [dataset?.digest].compactMap(\.self) : [])) {
    $0.formUnion($1.scores.provenance.calibration)
  }
  let parts = [plan.refiner?.summary, plan.compensator?.summary, plan.blockCompensator?.summary].compactMap { $0 }
  return Operation(
    method: PruneRun.name,
    summary: ([plan.method.summary] + parts).joined(separator: " + ")
      + " \(plan.target.words), group \(plan.group.rawValue)" + (sequential ? ", layer by layer" : ""),
    details: details, calibration: calibration.union(allocation?.calibration(dataset) ?? []))
}
