// One block of a decoder, backward: from the gradient of its output to that of its input and of its parameters.
// Each half is y = x + postNorm(map(f(norm(x)))); the mirror of Forward/BlockForward.swift.

import Tensors

struct BlockBackward {
  let transformer: Transformer
  let compute: Compute
  let weights: any WeightSource
  let precision: Precision
  let rotaryTables: [RotaryTable]
  let scratch: BackwardScratch
  let attentionScratch: FloatBuffer
  let linearScratch: LinearScratch
  let gradients: ParameterBlock
  let cancellation: Cancellation

  /// Turns `scratch.state` from the gradient of the block's output into that of its input. Uses up `a.gate` and `a.up`.
  /// - Parameter projections: a further gradient on `a.rotated`, `[batch.tokens, W]`.
  /// - Throws: `Cancelled`; gradients are then partly added.
  func callAsFunction(
    layer: Int, _ a: BlockActivations, batch: Batch, projections: FloatBuffer? = nil
  ) throws(Cancelled) {
    let block = transformer.blocks[layer]
    try feedForwardBackward(block, a, rows: batch.tokens)
    try attentionBackward(block, a, batch: batch, projections: projections)
  }

  private func feedForwardBackward(_ block: Block, _ a: BlockActivations, rows N: Int) throws(Cancelled) {
    let half = block.feedForward, F = half.neurons, C = transformer.shape.hiddenSize
    let branch = postNormBackward(block.feedForwardPostNorm, output: a.feedForwardOut, rows: N)

    let count = N * F, gate = half.gate == nil ? nil : a.gate
    compute.activationForward(
      scratch.active.pointer, gate: gate.map { UnsafePointer($0) }, up: a.up, count: count, half.activation)
    try linearBackward(
      half.down, branch, input: MatrixRows(scratch.active.pointer, stride: F),
      dinput: MutableMatrixRows(scratch.dactive.pointer, stride: F), accumulate: false, rows: N)
    compute.activationBackward(
      dgate: gate, dup: a.up, scratch.dactive.pointer, gate: gate.map { UnsafePointer($0) }, up: a.up, count: count,
      half.activation)

    normalise(a.middle, block.feedForwardNorm, rows: N)
    let normed = MatrixRows(scratch.normed.pointer, stride: C)
    let dnormed = MutableMatrixRows(scratch.dnormed.pointer, stride: C)
    try linearBackward(
      half.up, MatrixRows(a.up, stride: F), input: normed, dinput: dnormed, accumulate: false, rows: N)
    if let map = half.gate {
      try linearBackward(
        map, MatrixRows(a.gate, stride: F), input: normed, dinput: dnormed, accumulate: true, rows: N)
    }
    normBackward(block.feedForwardNorm, input: a.middle, rows: N)
  }

  private func attentionBackward(
    _ block: Block, _ a: BlockActivations, batch: Batch, projections: FloatBuffer?
  ) throws(Cancelled) {
    let attention = block.attention, shape = attention.form.shape, N = batch.tokens, C = transformer.shape.hiddenSize
    let branch = postNormBackward(block.attentionPostNorm, output: a.attentionOut, rows: N)
    let Q = shape.queryWidth, width = attention.width
    try linearBackward(
      attention.output, branch, input: MatrixRows(a.attended, stride: Q),
      dinput: MutableMatrixRows(scratch.dattended.pointer, stride: Q), accumulate: false, rows: N)

    try compute.attentionBackward(
      batch.gradientSpans(a, scratch, attention.form), form: attention.form, scratch: attentionScratch,
      cancellation: cancellation)
    let dprojected = MutableMatrixRows(scratch.dprojected.pointer, stride: width)
    func part(_ column: Int) -> MutableMatrixRows {
      MutableMatrixRows(dprojected.pointer + column, stride: width)
    }
    compute.sumOverGroups(part(Q), MatrixRows(scratch.dkeys.pointer, stride: Q), rows: N, shape: shape)
    compute.sumOverGroups(
      part(Q + shape.kvWidth), MatrixRows(scratch.dvalues.pointer, stride: Q), rows: N, shape: shape)
    if let projections { compute.add(dprojected.pointer, projections.pointer, count: N * width) }
    if let rotary = attention.rotary {
      compute.rope(
        dprojected, table: rotaryTables[rotary], runs: batch.runs, heads: shape.heads + shape.kvHeads, backwards: true)
    }
    func headNormBackward(_ norm: Norm?, column: Int, heads: Int) {
      guard let norm else { return }
      compute.normBackward(
        part(column), dweight: gradients[norm.weight], dbias: norm.bias.map { gradients[$0] }, part(column).readOnly,
        MatrixRows(a.projected + column, stride: width), norm.weights(weights), rows: N, groups: heads,
        accumulate: false)
    }
    headNormBackward(attention.queryNorm, column: 0, heads: shape.heads)
    headNormBackward(attention.keyNorm, column: Q, heads: shape.kvHeads)

    normalise(a.input, block.attentionNorm, rows: N)
    let normed = MatrixRows(scratch.normed.pointer, stride: C)
    var column = 0
    for map in attention.inputs {
      try linearBackward(
        map, part(column).readOnly, input: normed, dinput: MutableMatrixRows(scratch.dnormed.pointer, stride: C),
        accumulate: column > 0, rows: N)
      column += map.outputs
    }
    normBackward(block.attentionNorm, input: a.input, rows: N)
  }

  /// The gradient of a half's output before its post norm: the residual stream's own if there is none.
  private func postNormBackward(_ norm: Norm?, output: UnsafePointer<Float>, rows N: Int) -> MatrixRows {
    let C = transformer.shape.hiddenSize, state = MatrixRows(scratch.state.pointer, stride: C)
    guard let norm else { return state }
    let branch = MutableMatrixRows(scratch.branch.pointer, stride: C)
    compute.normBackward(
      branch, dweight: gradients[norm.weight], dbias: norm.bias.map { gradients[$0] }, state,
      MatrixRows(output, stride: C), norm.weights(weights), rows: N, accumulate: false)
    return branch.readOnly
  }

  /// scratch.normed = norm(x), as in the forward pass.
  private func normalise(_ x: UnsafePointer<Float>, _ norm: Norm, rows N: Int) {
    let C = norm.channels
    compute.normForward(
      MutableMatrixRows(scratch.normed.pointer, stride: C), MatrixRows(x, stride: C), norm.weights(weights), rows: N)
  }

  /// scratch.state += the gradient of norm(x) at `scratch.dnormed`.
  private func normBackward(_ norm: Norm, input x: UnsafePointer<Float>, rows N: Int) {
    let C = norm.channels
    compute.normBackward(
      MutableMatrixRows(scratch.state.pointer, stride: C), dweight: gradients[norm.weight],
      dbias: norm.bias.map { gradients[$0] }, MatrixRows(scratch.dnormed.pointer, stride: C),
      MatrixRows(x, stride: C), norm.weights(weights), rows: N, accumulate: true)
  }

  /// The gradients of y = W·x + b: of W and b, added to the parameters' gradients, and of x.
  private func linearBackward(
    _ map: Linear, _ dout: MatrixRows, input: MatrixRows, dinput: MutableMatrixRows, accumulate: Bool, rows N: Int
  ) throws(Cancelled) {
    try compute.linearBackwardWeights(
      gradients[map.weight], dout, input, rows: N, outputs: map.outputs, inputs: map.inputs, scratch: linearScratch,
      precision: precision, cancellation: cancellation)
    if let bias = map.bias { compute.biasBackward(gradients[bias], dout, rows: N, outputs: map.outputs) }
    try compute.linearBackwardInput(
      dinput, dout, weights: weights.tensor(map.weight), rows: N, scratch: linearScratch, accumulate: accumulate,
      precision: precision, cancellation: cancellation)
  }
}

extension Batch {
  /// Every sequence with the gradients of its queries, keys and values.
  fileprivate func gradientSpans(
    _ a: BlockActivations, _ scratch: BackwardScratch, _ form: AttentionForm
  ) -> [AttentionGradientSpan] {
    let shape = form.shape, Q = shape.queryWidth, width = Q + 2 * shape.kvWidth
    return runs.map { run in
      let rows = a.rotated + run.row * width
      func byHead(_ buffer: FloatBuffer) -> MutableMatrixRows {
        MutableMatrixRows(buffer.pointer + run.row * Q, stride: Q)
      }
      return AttentionGradientSpan(
        queries: MatrixRows(rows, stride: width), keys: MatrixRows(rows + Q, stride: width),
        values: MatrixRows(rows + Q + shape.kvWidth, stride: width), dout: byHead(scratch.dattended).readOnly,
        dqueries: MutableMatrixRows(scratch.dprojected.pointer + run.row * width, stride: width),
        dkeys: byHead(scratch.dkeys), dvalues: byHead(scratch.dvalues), rows: run.rows)
    }
  }
}
