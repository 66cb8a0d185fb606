// Gradients of the norm of a block's output in the block's weight matrices, summed over the sequences of a calibration
// dataset: what a weight does to its region, without the rest of the model.

import OrderedCollections
package import Tensors
package import Transformers
package import Workspace

/// For each sequence X that enters a layer the gradient g of ||f(X)||_2, where f is the layer with its residual
/// connections: the sums of g and of g². (Yang et al. 2025, arXiv 2503.04992, section 4.1)
///
/// Weights that the masks of `weights` prune have no gradient.
/// - Parameters:
///   - hidden: `[sequences * length, hiddenSize]`, what enters the layer.
///   - tensors: names of tensors of the layer.
/// - Throws: `CompressionError.memoryInsufficient`, `TrainingError.nonFiniteGradient`, `Cancelled`.
package func regionalGradients(
  ofLayer layer: Int, of model: Transformer, entering hidden: UnsafePointer<Float>, sequences: Int, length: Int,
  weights: any WeightSource, tensors: [String], compute: Compute, cancellation: Cancellation
) throws -> [String: GradientSums] {
  let batch = Batch(sequences: 1, length: length), layout = ParameterLayout(model, layer: layer)
  let elements = tensors.reduce(0) { $0 + (layout.entries[$1]?.count ?? 0) }
  try requireMemory(
    4 * layout.count + GradientAccumulator.bytes(elements: elements, isTraining: false)
      + BlockPass.bytes(model, batch: batch), for: "Summing regional gradients of \(tensors.count) tensors")
  let pass = BlockPass(model, layer: layer, batch: batch, compute: compute)
  let gradients = ParameterBlock(layout), masks = weights.masks(of: layout)
  let accumulator = GradientAccumulator(tensors, layout: layout, isTraining: false, compute: compute)
  let count = batch.tokens * model.shape.hiddenSize
  let doutput = FloatBuffer(count: count)
  for sequence in 0..<sequences {
    gradients.clear(pool: compute.pool)
    let output = try pass.forward(
      hidden + sequence * count, batch: batch, weights: weights, cancellation: cancellation)
    let norm = compute.sumOfSquares(output, count: count).squareRoot()
    guard norm.isFinite else { throw TrainingError.nonFiniteGradient(step: sequence + 1) }
    // Of an output of zeros, where the norm has a kink, the gradient counts as zero.
    compute.copy(doutput.pointer, from: output, count: count)
    compute.scale(doutput.pointer, by: norm > 0 ? Float(1 / norm) : 0, count: count)
    try pass.backward(doutput.pointer, weights: weights, into: gradients, cancellation: cancellation)
    gradients.apply(masks, compute: compute)
    accumulator.add(gradients)
  }
  return accumulator.sums(steps: 0)
}

/// The same for `tensors` of any layers of a model at one revision, on what the dataset makes of the layers before.
/// - Throws: `CompressionError`, `TransformerError`, `TrainingError`, `Cancelled`.
package func regionalGradients(
  _ state: ModelState, dataset: Dataset, tensors: [PrunableTensor], store: StatisticsStore, compute: Compute,
  monitor: Monitor
) throws -> [String: GradientSums] {
  let model = state.transformer, chains = KeyChains(state, dataset: dataset)
  func key(_ tensor: PrunableTensor) -> StatisticsKey {
    .regionalGradients(chains.throughLayer(tensor.layer), tensor: tensor.name)
  }
  var found: [String: GradientSums] = [:]
  for tensor in tensors { found[tensor.name] = store.value(key(tensor))?.gradients }
  let missing = tensors.filter { found[$0.name] == nil }
  guard let first = missing.map(\.layer).min(), let last = missing.map(\.layer).max() else { return found }
  let sums = GradientAccumulator.bytes(elements: missing.reduce(0) { $0 + $1.elementCount }, isTraining: false)
  try requireMemory(DatasetStates.bytes(model, dataset: dataset) + sums, for: "Summing regional gradients")
  let states = try DatasetStates(model, dataset: dataset, compute: compute)
  var walk = StateWalk(states: states, chains: chains, layers: model.shape.layers, store: store)
  walk.begin(atOrBefore: first, weights: state.revision)
  let start = walk.layer
  while walk.layer <= last {
    let layer = walk.layer, wanted = missing.filter { $0.layer == layer }
    monitor.report(
      Double(layer - start) / Double(last + 1 - start), "regional gradients, layer \(layer + 1) of \(last + 1)")
    if !wanted.isEmpty {
      let sums = try regionalGradients(
        ofLayer: layer, of: model, entering: states.hidden.pointer, sequences: dataset.sequences,
        length: dataset.sequenceLength, weights: state.revision, tensors: wanted.map(\.name), compute: compute,
        cancellation: monitor.cancellation)
      for tensor in wanted {
        guard let own = sums[tensor.name] else { continue }
        store.remember(.gradients(own), for: key(tensor))
        found[tensor.name] = own
      }
    }
    if layer == last { break }
    try walk.advance(weights: state.revision, observer: nil, cancellation: monitor.cancellation) { _ in }
  }
  return found
}
