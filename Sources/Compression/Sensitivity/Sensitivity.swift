// The loss of a model with one layer changed, layer by layer and ratio by ratio. (Torch-Pruning's and NNI's sensitivity
// analysis; Han et al. 2015, section 4, for the idea of a threshold a layer from it.)

import OrderedCollections
package import Tensors
import Transformers
import Workspace

/// What is done to one layer at a time.
protocol LayerChange {
  /// Called once before the first layer, with all that will be changed.
  /// - Throws: `Cancelled`, or what the method throws.
  func prepare(layers: [Int], monitor: Monitor) throws

  /// The weights of the model with layer `layer` pruned to `sparsity`; nil to leave the layer out.
  /// - Throws: `Cancelled`, or what the method throws.
  func weights(layer: Int, sparsity: Double, monitor: Monitor) throws -> (any WeightSource)?
}

extension LayerChange {
  func prepare(layers: [Int], monitor: Monitor) {}
}

/// Leaves layers out: what enters them leaves them.
struct LayerRemoval: LayerChange {
  func weights(layer: Int, sparsity: Double, monitor: Monitor) -> (any WeightSource)? { nil }
}

/// A question about a model's sensitivity.
package struct SensitivityQuestion: Sendable {
  package let state: ModelState
  package let windows: DatasetWindows
  /// How layers are pruned; nil leaves them out.
  package let pruning: LayerPruningRequest?

  package init(_ state: ModelState, windows: DatasetWindows, pruning: LayerPruningRequest?) {
    self.state = state
    self.windows = windows
    self.pruning = pruning
  }

  package var key: SensitivityKey { SensitivityKey(state, windows: windows, change: pruning?.words ?? ["layer"]) }

  /// Digests of the text that losses are of and, if statistics are needed, of what they are of.
  package var digests: Set<String> {
    let calibration = pruning.flatMap { $0.need == .none ? nil : $0.calibration?.digest }
    return Set([windows.dataset.digest, calibration].compactMap(\.self))
  }

  /// Whether statistics are taken of the very text that losses are of.
  package var calibratesOnEvaluation: Bool {
    guard let pruning, pruning.need != .none else { return false }
    return pruning.calibration?.digest == windows.dataset.digest
  }

  /// The layers that can be asked about, ascending: those of which something would be pruned.
  package var layers: [Int] {
    pruning.map { Set($0.tensors.values.map(\.layer)).sorted() } ?? Array(0..<state.transformer.shape.layers)
  }

  /// - Throws: `CompressionError` for the first of `layers` that the model does not have, or of which nothing would be
  ///   pruned.
  package func require(_ layers: [Int]) throws(CompressionError) {
    let all = state.transformer.shape.layers, known = Set(self.layers)
    if let outside = layers.first(where: { !(0..<all).contains($0) }) {
      throw .layerNotFound(layer: outside, layers: all)
    }
    if let untouched = layers.first(where: { !known.contains($0) }) { throw .layerNotChosen(layer: untouched) }
  }

  /// Finds the points of `table` that are not known yet, and tells each as it is found.
  ///
  /// Layers are walked upwards with the hidden states that enter them, of all windows, in memory: they are computed
  /// once, and changing layer l costs layers l and above. A loss is, to the bit, what `evaluatePerplexity` gives for the
  /// whole model with that layer changed.
  /// - Parameters:
  ///   - table: of this question's key.
  ///   - layers, sparsities: the points asked for are all pairs; ascending, without repetition. Layers that are left
  ///     out have the sparsity 1.
  ///   - found: called after each new point is in the table.
  /// - Throws: `CompressionError`, `TransformerError`, what the method and `found` throw; `Cancelled`. What was found by
  ///   then is in the table.
  package func find(
    _ table: SensitivityTable, layers: [Int], sparsities: [Double], store: StatisticsStore, compute: Compute,
    monitor: Monitor, diagnostics: Diagnostics, found: (SensitivityPoint) throws -> Void = { _ in }
  ) throws {
    try require(layers)
    let change: any LayerChange =
      pruning.map { LayerPruning(state, $0, store: store, compute: compute, diagnostics: diagnostics) }
      ?? LayerRemoval()
    try findSensitivity(
      state, windows: windows, layers: layers, sparsities: sparsities, change: change, table: table,
      compute: compute, monitor: monitor, found: found)
  }
}

private func findSensitivity(
  _ state: ModelState, windows: DatasetWindows, layers: [Int], sparsities: [Double], change: any LayerChange,
  table: SensitivityTable, compute: Compute, monitor: Monitor, found: (SensitivityPoint) throws -> Void
) throws {
  let all = state.transformer.shape.layers
  let missing = layers.map { layer in
    (layer: layer, sparsities: sparsities.filter { table.loss(layer: layer, sparsity: $0) == nil })
  }.filter { !$0.sparsities.isEmpty }
  let pointCount = missing.reduce(0) { $0 + $1.sparsities.count }
  guard pointCount > 0 || table.baseline == nil else { return }
  let walk = try SensitivityWalk(state, windows: windows, holdsStates: pointCount > 0, compute: compute)
  // In layers computed: the baseline, calibration, the states, and for each point what is above its layer.
  let total = Double(3 * all + missing.reduce(0) { $0 + $1.sparsities.count * (all - $1.layer) })
  var done = 0.0
  func next(_ layers: Int, _ message: String) -> Monitor {
    let part = monitor.part(done / total...min(1, (done + Double(layers)) / total))
    done += Double(layers)
    part.report(0, message)
    return part
  }
  if table.baseline == nil {
    let dense = try evaluatePerplexity(
      state, dataset: windows.dataset, window: windows.length, compute: compute,
      monitor: next(all, "the model as it is"))
    table.remember(baseline: dense.nll)
  }
  guard pointCount > 0 else { return }
  try change.prepare(layers: missing.map(\.layer), monitor: next(all, "calibrating"))
  walk.begin()
  for (layer, sparsities) in missing {
    try walk.advance(to: layer, monitor: next(layer - walk.layer, "up to layer \(layer)"))
    for sparsity in sparsities {
      try monitor.checkCancelled()
      let part = next(all - layer, "layer \(layer) of \(all), sparsity \(sparsity)")
      let weights = try change.weights(
        layer: layer, sparsity: sparsity, monitor: Monitor(cancellation: monitor.cancellation))
      let point = SensitivityPoint(
        layer: layer, sparsity: sparsity, loss: try walk.loss(changing: weights, monitor: part))
      table.remember(point)
      try found(point)
    }
  }
}

/// The hidden states that enter a layer, of all windows, and the way on from there.
private final class SensitivityWalk {
  private(set) var layer = 0
  private let state: ModelState
  private let windows: DatasetWindows
  private let batches: [Range<Int>]
  private let pass: ForwardPass
  /// `[tokens of all windows, hiddenSize]`, entering `layer`.
  private let entering: FloatBuffer
  /// The same of one batch on its way up.
  private let working: FloatBuffer

  init(_ state: ModelState, windows: DatasetWindows, holdsStates: Bool, compute: Compute) throws {
    let model = state.transformer
    try windows.check(model)
    self.state = state
    self.windows = windows
    batches = sequenceBatches(sequences: windows.count, length: windows.length, model: model)
    let largest = Batch(sequences: batches.first?.count ?? 1, length: windows.length)
    let held = holdsStates ? windows.count * windows.length : 0
    try requireMemory(
      4 * model.shape.hiddenSize * (held + largest.tokens) + largest.tokens * model.activationBytesPerToken,
      for: "Holding the hidden states of \(windows.count) windows")
    pass = model.makeForwardPass(batch: largest, compute: compute)
    entering = FloatBuffer(count: held * model.shape.hiddenSize)
    working = FloatBuffer(count: largest.tokens * model.shape.hiddenSize)
  }

  private func place(_ range: Range<Int>) -> UnsafeMutablePointer<Float> {
    entering.pointer + range.lowerBound * windows.length * state.transformer.shape.hiddenSize
  }

  private func batch(_ range: Range<Int>) -> Batch { Batch(sequences: range.count, length: windows.length) }

  /// Embeds all windows.
  func begin() {
    for range in batches {
      pass.embed(windows.tokens(range), into: place(range), batch: batch(range), weights: state.revision)
    }
  }

  /// Takes the states up to where they enter layer `target`.
  func advance(to target: Int, monitor: Monitor) throws(Cancelled) {
    while layer < target {
      for range in batches {
        try pass.layer(
          layer, hidden: place(range), batch: batch(range), weights: state.revision, cancellation: monitor.cancellation)
      }
      layer += 1
    }
  }

  /// The loss with this layer's weights from `changed`, or without the layer for nil.
  func loss(changing changed: (any WeightSource)?, monitor: Monitor) throws -> Double {
    let model = state.transformer, layers = model.shape.layers
    var perWindow: [Double] = []
    for range in batches {
      let batch = batch(range)
      working.pointer.update(from: place(range), count: batch.tokens * model.shape.hiddenSize)
      for above in layer..<layers {
        guard let weights = above == layer ? changed : state.revision else { continue }
        try pass.layer(
          above, hidden: working.pointer, batch: batch, weights: weights, cancellation: monitor.cancellation)
        let done = Double(range.lowerBound) + Double(range.count * (above - layer + 1)) / Double(layers - layer)
        monitor.report(done / Double(windows.count), "window \(range.upperBound) of \(windows.count)")
      }
      let losses = try pass.nextTokenLosses(
        hidden: working.pointer, tokens: windows.tokens(range), batch: batch, weights: state.revision,
        cancellation: monitor.cancellation)
      perWindow += try windows.means(losses, windows: range)
    }
    return perWindow.mean
  }
}
