// selftest/gradients: the daemon checks its own arithmetic on the models that it holds.

import Checkpoints
import Compression
import Transformers
import WireTypes
import Workspace

let selftestRoutes = [
  Route(
    SelftestGradients.self, model: \.model,
    access: { params in
      if case .dataset(let name) = params.source { return .reading(.model(params.model), .dataset(name)) }
      return .reading(.model(params.model))
    }, prepare: gradients)
]

private func gradients(_ params: SelftestGradients.Params, _ context: ServerContext) throws -> Plan {
  let model = try context.model(params.model)
  let state = try model.state(params.revision)
  var plan = GradientCheckPlan(tokens: try tokens(params, state.transformer.shape, context))
  plan.modules = params.modules
  plan.samples = params.samples
  plan.seed = UInt64(params.seed)
  let compute = try context.compute()
  return .work(.compute) { [plan] monitor in
    let start = monotonicSeconds()
    let check = try checkGradients(state, plan: plan, compute: compute, monitor: monitor)
    try model.checkpoint.requireIntact()
    return SelftestGradients.result(
      model: params.model, revision: state.revision.id, tokens: plan.tokens.count - 1, seed: params.seed,
      loss: check.loss, noise: check.noise, passed: check.passed, tensors: check.tensors.map { .init($0) },
      seconds: monotonicSeconds() - start)
  }
}

/// The tokens of the one sequence.
private func tokens(
  _ params: SelftestGradients.Params, _ shape: ModelShape, _ context: ServerContext
) throws -> [Int32] {
  let usual = 32
  switch params.source {
  case .tokens(let tokens): return tokens.map(Int32.init)
  case .random:
    return GradientCheckPlan.randomTokens(
      params.length ?? min(usual, shape.maximumLength), vocabularySize: shape.vocabularySize, seed: UInt64(params.seed))
  case .dataset(let name):
    let dataset = try context.uniformDataset(name)
    let length = params.length ?? min(usual, dataset.sequenceLength)
    guard length <= dataset.sequenceLength else {
      throw CompressionError.windowInvalid(window: length, sequenceLength: dataset.sequenceLength)
    }
    return Array(dataset.tokens.prefix(length))
  }
}

extension SelftestGradients.Tensor {
  fileprivate init(_ check: TensorGradientCheck) {
    self.init(
      tensor: check.tensor, analytic: check.analytic, numeric: check.numeric, error: check.error,
      tolerance: check.tolerance, step: check.step, samples: check.samples, passed: check.passed)
  }
}
