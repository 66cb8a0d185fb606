// evaluate/perplexity: how good a revision is.

import Checkpoints
import Compression
import Tensors
import WireTypes
import Workspace

let evaluationRoutes = [
  Route(
    EvaluatePerplexity.self, model: \.model, access: { .reading(.model($0.model), .dataset($0.dataset)) },
    prepare: perplexity)
]

private func perplexity(_ params: EvaluatePerplexity.Params, _ context: ServerContext) throws -> Plan {
  let model = try context.model(params.model)
  let state = try model.state(params.revision)
  let dataset = try context.dataset(params.dataset)
  let compute = try context.compute()
  let precision = Precision(rawValue: params.precision) ?? .fp32
  return .work(.compute) { monitor in
    let start = monotonicSeconds(), diagnostics = Diagnostics()
    diagnostics.reportCalibration(of: state.revision, evaluatedOn: dataset, as: "The revision")
    let result = try evaluatePerplexity(
      state, dataset: dataset, window: params.window, precision: precision, compute: compute, monitor: monitor)
    try model.checkpoint.requireIntact()
    return EvaluatePerplexity.result(
      model: params.model, revision: state.revision.id, dataset: params.dataset,
      window: params.window ?? dataset.sequenceLength, perplexity: result.perplexity, nll: result.nll,
      standardError: result.standardError, tokens: result.tokens, windows: result.perWindow.count,
      perWindow: params.perWindow ? result.perWindow : nil, precision: precision.rawValue,
      diagnostics: diagnostics.json, seconds: monotonicSeconds() - start)
  }
}
