// One block of a decoder, forward. The same code serves evaluation (in place), decoding (over cached keys and values) and
// training (every activation in a place of its own, for the backward pass).
//
// Legend: N rows, C hidden size, H/KV query and key/value heads, D head size, F neurons, W = (H + 2 KV) D.

import Tensors

/// Called with the activations `[rows, input.columns]` that linear maps are about to read.
package typealias LinearInputObserver = (_ input: LinearInput, _ activations: UnsafePointer<Float>, _ rows: Int) -> Void

/// Where the activations of a block go. Places may coincide where nothing is needed twice: each user says which.
struct BlockActivations {
  /// The block's input, and the residual stream behind each half. `[N, C]`
  var input, middle, output: UnsafeMutablePointer<Float>
  /// Queries, keys and values side by side, before and after normalisation and rotation. `[N, W]`
  var projected, rotated: UnsafeMutablePointer<Float>
  /// What the heads gathered. `[N, H * D]`
  var attended: UnsafeMutablePointer<Float>
  /// Outputs of the two halves before their post norms, if there are any. `[N, C]`
  var attentionOut, feedForwardOut: UnsafeMutablePointer<Float>
  /// `[N, F]`; `gate` is not used without a gate.
  var gate, up: UnsafeMutablePointer<Float>
  /// The input of the last map. `[N, F]`
  var active: UnsafeMutablePointer<Float>
  /// The normalised input of either half. `[N, C]`
  var normed: UnsafeMutablePointer<Float>
}

/// Computes blocks of one transformer over rows at given positions.
struct BlockForward {
  let transformer: Transformer
  let compute: Compute
  let weights: any WeightSource
  let precision: Precision
  /// One table for each of `transformer.rotaries`.
  let rotaryTables: [RotaryTable]
  let linearScratch: LinearScratch
  let cancellation: Cancellation
  var observer: LinearInputObserver?

  /// Takes N rows from `a.input` through block `layer` to `a.output`.
  /// - Parameters:
  ///   - leavingOutOutput: stop before what only `a.output` needs: enough for the backward pass, and for an observer.
  ///   - attend: gathers values by `a.rotated` into `a.attended`.
  /// - Throws: `Cancelled`; the activations are then undefined.
  func callAsFunction(
    layer: Int, _ a: BlockActivations, runs: [PositionRun], rows N: Int, leavingOutOutput: Bool = false,
    attend: () throws(Cancelled) -> Void
  ) throws(Cancelled) {
    let block = transformer.blocks[layer], C = transformer.shape.hiddenSize
    let inputs = observer == nil ? [] : transformer.linearInputs(layer: layer)
    func observe(_ site: Int, _ activations: UnsafePointer<Float>) { observer?(inputs[site], activations, N) }

    norm(a.normed, a.input, block.attentionNorm, rows: N)
    observe(0, a.normed)
    try project(block.attention, a, rows: N)
    normaliseAndRotate(block.attention, a, runs: runs, rows: N)
    try attend()
    observe(1, a.attended)
    let gathered = MatrixRows(a.attended, stride: block.attention.form.shape.queryWidth)
    try addResidual(
      a.middle, a.input, block.attention.output, gathered, block.attentionPostNorm, a.attentionOut,
      normed: a.normed, rows: N)

    norm(a.normed, a.middle, block.feedForwardNorm, rows: N)
    observe(2, a.normed)
    let F = block.feedForward.neurons
    let feedForward = block.feedForward
    var tasks = [task(MutableMatrixRows(a.up, stride: F), feedForward.up)]
    if let gate = feedForward.gate { tasks.insert(task(MutableMatrixRows(a.gate, stride: F), gate), at: 0) }
    try linear(tasks, MatrixRows(a.normed, stride: C), rows: N)
    if leavingOutOutput, observer == nil, block.feedForwardPostNorm == nil { return }
    activate(feedForward, a, rows: N)
    observe(3, a.active)
    if leavingOutOutput, block.feedForwardPostNorm == nil { return }
    try addResidual(
      a.output, a.middle, feedForward.down, MatrixRows(a.active, stride: F), block.feedForwardPostNorm,
      a.feedForwardOut, normed: a.normed, rows: N)
  }

  /// active = activation(gate) * up, or activation(up).
  func activate(_ feedForward: FeedForward, _ a: BlockActivations, rows N: Int) {
    compute.activationForward(
      a.active, gate: feedForward.gate == nil ? nil : UnsafePointer(a.gate), up: a.up, count: N * feedForward.neurons,
      feedForward.activation)
  }

  private func project(_ attention: Attention, _ a: BlockActivations, rows N: Int) throws(Cancelled) {
    var tasks: [LinearTask] = [], column = 0
    for map in attention.inputs {
      tasks.append(task(MutableMatrixRows(a.projected + column, stride: attention.width), map))
      column += map.outputs
    }
    try linear(tasks, MatrixRows(a.normed, stride: transformer.shape.hiddenSize), rows: N)
  }

  /// Normalises and rotates query and key heads, from `a.projected` to `a.rotated`.
  private func normaliseAndRotate(_ attention: Attention, _ a: BlockActivations, runs: [PositionRun], rows N: Int) {
    let shape = attention.form.shape, width = attention.width
    compute.copy(a.rotated, from: a.projected, count: N * width)
    func normHeads(_ norm: Norm?, column: Int, heads: Int) {
      guard let norm else { return }
      let part = MutableMatrixRows(a.rotated + column, stride: width)
      compute.normForward(part, part.readOnly, norm.weights(weights), rows: N, groups: heads)
    }
    normHeads(attention.queryNorm, column: 0, heads: shape.heads)
    normHeads(attention.keyNorm, column: shape.queryWidth, heads: shape.kvHeads)
    if let rotary = attention.rotary {
      compute.rope(
        MutableMatrixRows(a.rotated, stride: width), table: rotaryTables[rotary], runs: runs,
        heads: shape.heads + shape.kvHeads)
    }
  }

  /// out = x + postNorm(map(input)). `unnormed` takes the map's output if there is a post norm.
  private func addResidual(
    _ out: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ map: Linear, _ input: MatrixRows,
    _ postNorm: Norm?, _ unnormed: UnsafeMutablePointer<Float>, normed: UnsafeMutablePointer<Float>, rows N: Int
  ) throws(Cancelled) {
    let C = transformer.shape.hiddenSize
    compute.copy(out, from: x, count: N * C)
    guard let postNorm else {
      return try linear([task(MutableMatrixRows(out, stride: C), map)], input, rows: N, accumulate: true)
    }
    try linear([task(MutableMatrixRows(unnormed, stride: C), map)], input, rows: N)
    norm(normed, unnormed, postNorm, rows: N)
    compute.add(out, normed, count: N * C)
  }

  func norm(_ out: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ norm: Norm, rows N: Int) {
    let C = norm.channels
    compute.normForward(
      MutableMatrixRows(out, stride: C), MatrixRows(x, stride: C), norm.weights(weights), rows: N)
  }

  private func task(_ out: MutableMatrixRows, _ map: Linear) -> LinearTask {
    let bias = map.bias.map(weights.tensor) ?? weights.addedBias(to: map.weight)
    return LinearTask(out, weights: weights.tensor(map.weight), bias: bias?.vector)
  }

  private func linear(
    _ tasks: [LinearTask], _ x: MatrixRows, rows N: Int, accumulate: Bool = false
  ) throws(Cancelled) {
    try compute.linearForward(
      tasks, x, rows: N, scratch: linearScratch, accumulate: accumulate, precision: precision,
      cancellation: cancellation)
  }
}

extension Norm {
  func weights(_ source: any WeightSource) -> NormWeights {
    NormWeights(
      kind, epsilon: epsilon, channels: channels, weight: source.tensor(weight).vector,
      bias: bias.map { source.tensor($0).vector })
  }
}
