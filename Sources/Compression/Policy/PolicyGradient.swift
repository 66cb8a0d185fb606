// The gradient of the policy objective, batch by batch.

package import Tensors
package import Transformers

extension TrainingPass {
  /// Takes `sequences` together through the model and back.
  /// - Parameter gradients: the gradient of the sum of the tokens' weighted losses is added to it.
  /// - Throws: `Cancelled`; gradients are then partly added.
  package func addPolicyGradient(
    _ sequences: some Sequence<PolicySequence>, options: PolicyOptions, weights: any WeightSource,
    into gradients: ParameterBlock, cancellation: Cancellation
  ) throws -> PolicyMetrics {
    let (batch, tokens, rows) = PolicySequence.batch(sequences)
    let loss = PolicyLoss(rows, options: options)
    try forward(tokens, batch: batch, weights: weights, cancellation: cancellation)
    try backward(through: loss, weights: weights, into: gradients, cancellation: cancellation)
    return loss.metrics
  }
}

/// The gradient of the policy objective in all weights of a model as it is.
package struct PolicyGradient {
  package let gradients: ParameterBlock
  package let metrics: PolicyMetrics
}

/// What activations may take before layers compute theirs again.
private let activationBytes = 1 << 30

/// Sums the gradients of `sequences`; weights that masks prune have none.
/// - Throws: `TransformerError`, `CompressionError` without memory, `TrainingError.nonFiniteGradient`, `Cancelled`.
package func policyGradient(
  _ state: ModelState, sequences: [PolicySequence], options: PolicyOptions, compute: Compute, monitor: Monitor
) throws -> PolicyGradient {
  let model = state.transformer
  for sequence in sequences { try model.checkTokens(sequence.tokens, length: sequence.tokens.count) }
  let lengths = sequences.map(\.tokens.count)
  let batches = sequenceBatches(lengths: lengths, model: model)
  let largest = Batch.covering(batches.map { Batch(lengths: Array(lengths[$0])) })
  let layout = ParameterLayout(model), plan = ActivationPlan(model, batch: largest, budget: activationBytes)
  try requireMemory(
    4 * layout.count + largest.tokens * (model.trainingBytesPerToken + plan.keptLayers * model.keptBytesPerToken)
      + min(8 * largest.tokens * model.shape.vocabularySize, 128 << 20),
    for: "Gradients of \(sequences.count) completions")
  let gradients = ParameterBlock(layout)
  let pass = TrainingPass(model, batch: largest, plan: plan, compute: compute)
  var metrics = PolicyMetrics()
  for range in batches {
    monitor.report(
      Double(range.lowerBound) / Double(sequences.count),
      "gradients, completion \(range.upperBound) of \(sequences.count)")
    try monitor.checkCancelled()
    metrics += try pass.addPolicyGradient(
      sequences[range], options: options, weights: state.revision, into: gradients,
      cancellation: monitor.cancellation)
  }
  gradients.apply(state.revision.masks(of: layout), compute: compute)
  guard compute.sumOfSquares(gradients.values.pointer, count: gradients.values.count).isFinite else {
    throw TrainingError.nonFiniteGradient(step: 1)
  }
  return PolicyGradient(gradients: gradients, metrics: metrics)
}
