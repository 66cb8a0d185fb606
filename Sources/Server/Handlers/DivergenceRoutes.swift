// evaluate/divergence: how far a revision is from a reference.

import Checkpoints
import Compression
import Tensors
import WireTypes
import Workspace

let divergenceRoutes = [
  Route(
    EvaluateDivergence.self, model: \.model,
    access: { .reading(.model($0.model), .model($0.reference.model), .dataset($0.dataset)) }, prepare: divergence)
]

private func divergence(_ params: EvaluateDivergence.Params, _ context: ServerContext) throws -> Plan {
  let model = try context.model(params.model), other = try context.model(params.reference.model)
  let state = try model.state(params.revision), reference = try other.state(params.reference.revision)
  let dataset = try context.dataset(params.dataset)
  let compute = try context.compute(), store = context.statistics
  let precision = Precision(rawValue: params.precision) ?? .fp32
  return .work(.compute) { monitor in
    let start = monotonicSeconds(), diagnostics = Diagnostics()
    diagnostics.reportCalibration(of: state.revision, evaluatedOn: dataset, as: "The revision")
    diagnostics.reportCalibration(of: reference.revision, evaluatedOn: dataset, as: "The reference's revision")
    let result = try evaluateDivergence(
      state, from: reference, dataset: dataset, window: params.window, precision: precision, store: store,
      compute: compute, monitor: monitor)
    try model.checkpoint.requireIntact()
    try other.checkpoint.requireIntact()
    return EvaluateDivergence.result(
      model: params.model, revision: state.revision.id,
      reference: (params.reference.model, reference.revision.id), dataset: params.dataset,
      window: params.window ?? dataset.sequenceLength,
      EvaluateDivergence.Facts(
        meanKL: result.meanKL, standardError: result.standardError,
        quantiles: EvaluateDivergence.quantileFractions.map(result.quantile), maximum: result.quantile(1),
        sameTopToken: result.sameTopToken, perplexity: result.model.perplexity,
        referencePerplexity: result.reference.perplexity, tokens: result.tokens, windows: result.perWindow.count),
      precision: precision.rawValue, diagnostics: diagnostics.json, seconds: monotonicSeconds() - start)
  }
}
