// prune/run: a whole pruning in one request.

import Checkpoints
import Compression
import OrderedCollections
import Tensors
import WireTypes
import Workspace

let pruningRoutes = [
  Route(
    PruneRun.self, model: \.model,
    access: { params in
      .writing(.model(params.model), reading: .plugins, params.criterion.dataset.map { .dataset($0) })
    }, prepare: run)
]

private func run(_ params: PruneRun.Params, _ context: ServerContext) throws -> Plan {
  let model = try context.model(params.model)
  let state = try model.state(nil)
  let criterion = try context.criterion(params.criterion)
  let plan = PruningPlan(
    criterion: criterion, target: try SparsityTarget(params.target),
    group: params.group.flatMap(MaskGroup.init) ?? criterion.description.defaultGroup,
    tensors: try state.prunableTensors(matching: params.criterion.modules))
  let dataset = try params.criterion.dataset.map(context.dataset)
  let needsStatistics = criterion.statistics(hasDataset: dataset != nil) != .none
  let sequential = params.sequential ?? needsStatistics
  if sequential, plan.group == .global { throw CompressionError.groupNotSequential(group: plan.group.rawValue) }
  if dataset == nil, sequential || needsStatistics {
    throw CompressionError.datasetRequired(plugin: criterion.id)
  }
  let compute = try context.compute()
  return .work(.compute) { monitor in
    let start = monotonicSeconds()
    let diagnostics = Diagnostics()
    let result =
      if sequential, let dataset {
        try pruneSequentially(
          state, plan: plan, dataset: dataset, compute: compute, monitor: monitor, diagnostics: diagnostics)
      } else {
        try pruneAtOnce(
          state, plan: plan, dataset: dataset, cache: context.statistics, compute: compute, monitor: monitor,
          diagnostics: diagnostics)
      }
    try model.checkpoint.requireIntact()
    let revision = model.history.commit(
      operation(plan, dataset: dataset, sequential: sequential),
      tensors: state.revision.replacing(result.masks))
    return PruneRun.result(
      PrunedFacts(model: model.name, revision, tensors: result.masks.keys), sequential: sequential,
      layerErrors: result.layerErrors, seconds: monotonicSeconds() - start)
  }
}

private func operation(_ plan: PruningPlan, dataset: Dataset?, sequential: Bool) -> Operation {
  let description = plan.criterion.description.method
  var details: OrderedDictionary<String, String> = [
    "plugin": description.id, "pluginVersion": description.version, "sparsity": plan.target.description,
    "group": plan.group.rawValue, "sequential": "\(sequential)",
  ]
  for (name, value) in plan.criterion.parameters { details["parameters.\(name)"] = value.description }
  details["dataset"] = dataset?.digest
  return Operation(
    method: PruneRun.name,
    summary: "\(plan.criterion.summary) \(plan.target.words), group \(plan.group.rawValue)"
      + (sequential ? ", layer by layer" : ""),
    details: details)
}
