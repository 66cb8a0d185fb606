// Statistics of what goes into each linear map of a model at one revision, over a calibration dataset.

package import Tensors
package import Transformers
package import Workspace

/// The statistics of the linear inputs of some layers, the first ones. Moments are held here; Gram matrices stay in the
/// store, in memory or on disk, until they are asked for.
package struct Calibration: Sendable {
  package let layers: Range<Int>
  package let need: StatisticsNeed
  /// Layers of those whose statistics were remembered, not computed.
  package let reusedLayers: Int
  let keys: [CalibrationKey]
  let moments: [[Moments]]
  let store: StatisticsStore

  /// The statistics of the input of a tensor; nil if none of the layers has such a linear map. Tensors that share an
  /// input share its Gram matrix as long as it is in memory.
  /// - Throws: `CompressionError.statisticsForgotten` if the store had to let go of what is asked for.
  package func statistics(of tensor: PrunableTensor, model: Transformer) throws(CompressionError) -> InputStatistics? {
    guard layers.contains(tensor.layer) else { return nil }
    let input = model.linearInputs(layer: tensor.layer).firstIndex { $0.tensors.contains(tensor.name) }
    guard let input else { return nil }
    return try statistics(layer: tensor.layer, input: input, tensor: tensor.name)
  }

  /// The statistics of a layer's inputs, in the order of `Transformer.linearInputs(layer:)`.
  /// - Throws: as `statistics(of:model:)`.
  package func statistics(layer: Int, model: Transformer) throws(CompressionError) -> [InputStatistics] {
    let inputs = model.linearInputs(layer: layer)
    var all: [InputStatistics] = []
    for (index, input) in inputs.enumerated() {
      all.append(try statistics(layer: layer, input: index, tensor: input.tensors[0]))
    }
    return all
  }

  private func statistics(
    layer: Int, input: Int, tensor: String
  ) throws(CompressionError) -> InputStatistics {
    let place = layer - layers.lowerBound
    var statistics = InputStatistics(moments: moments[place][input])
    guard need.containsGram else { return statistics }
    guard let gram = store.value(.gram(keys[place], input: input))?.gram else {
      throw .statisticsForgotten(tensor: tensor, limits: store.limits)
    }
    // At one revision the input before pruning is the input itself.
    statistics.gram =
      need.contains(.crossGram)
      ? Gram(
        sequences: gram.sequences, tokens: gram.tokens, inputs: gram.inputs, products: gram.products,
        cross: gram.products) : gram
    return statistics
  }
}

/// Runs `dataset` through `state` and collects the statistics of `layers` that are not remembered, beginning with the
/// layer that the nearest remembered hidden states enter.
///
/// All batches go through a layer before the next. What is complete is remembered at once, also if the rest is
/// cancelled.
/// - Parameters:
///   - need: moments are collected whatever it says; gradients are not looked at. Cross products are those of the
///     revision with itself.
///   - layers: those whose statistics are wanted, from 0.
/// - Throws: `CompressionError`, `TransformerError`, `Cancelled`.
package func calibrate(
  _ state: ModelState, dataset: Dataset, need: StatisticsNeed, layers: Range<Int>, store: StatisticsStore,
  compute: Compute, monitor: Monitor
) throws -> Calibration {
  let model = state.transformer
  let chains = KeyChains(state, dataset: dataset)
  let keys = layers.map { chains.throughLayer($0) }
  var moments = keys.map { store.value(.moments($0))?.moments }
  let missing = layers.filter { layer in
    let place = layer - layers.lowerBound
    if moments[place] == nil { return true }
    let inputs = need.containsGram ? model.linearInputs(layer: layer).count : 0
    return !(0..<inputs).allSatisfy { store.contains(.gram(keys[place], input: $0)) }
  }
  if let first = missing.first, let last = missing.last {
    try checkRoom(state, dataset: dataset, need: need.withoutCross, layers: layers, store: store)
    let states = try DatasetStates(model, dataset: dataset, compute: compute)
    var walk = StateWalk(states: states, chains: chains, layers: model.shape.layers, store: store)
    walk.begin(atOrBefore: first, weights: state.revision)
    let start = walk.layer
    while walk.layer <= last {
      let layer = walk.layer
      let observer = missing.contains(layer)
        ? try LayerObserver(model.linearInputs(layer: layer), need: need.withoutCross, compute: compute) : nil
      try walk.advance(weights: state.revision, observer: observer, cancellation: monitor.cancellation) { part in
        monitor.report(
          (Double(layer - start) + part) / Double(last + 1 - start), "calibrating, layer \(layer + 1) of \(last + 1)")
      }
      guard let observer else { continue }
      let place = layer - layers.lowerBound, statistics = observer.finish()
      let found = statistics.compactMap(\.moments)
      for (input, gram) in statistics.map(\.gram).enumerated() {
        if let gram { store.remember(.gram(gram), for: .gram(keys[place], input: input)) }
      }
      store.remember(.moments(found), for: .moments(keys[place]))
      moments[place] = found
    }
  }
  return Calibration(
    layers: layers, need: need, reusedLayers: layers.count - missing.count, keys: keys,
    moments: moments.compactMap { $0 }, store: store)
}

/// That there is memory for the work, and that all the Gram matrices that are wanted can be remembered at once.
private func checkRoom(
  _ state: ModelState, dataset: Dataset, need: StatisticsNeed, layers: Range<Int>, store: StatisticsStore
) throws(CompressionError) {
  let model = state.transformer, rows = DatasetStates.batchTokens(model, dataset: dataset)
  let inputs = layers.map { model.linearInputs(layer: $0) }
  let grams = need.containsGram ? inputs.joined().reduce(0) { $0 + 4 * $1.columns * $1.columns } : 0
  if grams > store.memoryBytes + store.diskBytes { throw .statisticsTooLarge(needed: grams, limits: store.limits) }
  let observed = inputs.map { LayerObserver.bytes($0, need: need, rows: rows) }.max() ?? 0
  let copies = model.shape.layers * DatasetStates.stateBytes(model, dataset: dataset)
  let used = store.counters
  let remembered = max(0, min(grams, store.memoryBytes) - used.memoryBytes)
    + max(0, min(copies, store.stateBytes) - used.stateBytes)
  try requireMemory(DatasetStates.bytes(model, dataset: dataset) + observed + remembered, for: "Calibrating")
}

extension StatisticsNeed {
  /// A Gram matrix in place of cross products.
  fileprivate var withoutCross: StatisticsNeed { containsGram ? [.moments, .gram] : .moments }
}
