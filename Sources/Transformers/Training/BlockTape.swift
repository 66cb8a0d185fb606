// The memory in which a block's activations wait for the backward pass, and what the backward pass itself works in.

import Tensors

/// The activations of one block that the backward pass cannot compute again cheaply.
final class BlockTape {
  private let middle, rotated, attended, gate, up: FloatBuffer
  /// Queries and keys before their normalisation, where there is one.
  private let projected: FloatBuffer?
  /// The halves' outputs before their post norms, where there are such.
  private let attentionOut, feedForwardOut: FloatBuffer

  convenience init(_ block: Block, rows N: Int, hiddenSize C: Int) {
    self.init(
      rows: N, C, width: block.attention.width, queryWidth: block.attention.form.shape.queryWidth,
      neurons: block.feedForward.neurons, hasGate: block.feedForward.gate != nil,
      hasHeadNorms: block.attention.queryNorm != nil || block.attention.keyNorm != nil,
      hasPostNorms: block.attentionPostNorm != nil || block.feedForwardPostNorm != nil)
  }

  /// A tape for any of the model's blocks.
  convenience init(widestOf transformer: Transformer, rows N: Int) {
    let blocks = transformer.blocks
    self.init(
      rows: N, transformer.shape.hiddenSize, width: transformer.widest { $0.attention.width },
      queryWidth: transformer.widest { $0.attention.form.shape.queryWidth },
      neurons: transformer.widest { $0.feedForward.neurons }, hasGate: blocks.contains { $0.feedForward.gate != nil },
      hasHeadNorms: blocks.contains { $0.attention.queryNorm != nil || $0.attention.keyNorm != nil },
      hasPostNorms: transformer.hasPostNorms)
  }

  private init(
    rows N: Int, _ C: Int, width: Int, queryWidth: Int, neurons F: Int, hasGate: Bool, hasHeadNorms: Bool,
    hasPostNorms: Bool
  ) {
    middle = FloatBuffer(count: N * C)
    rotated = FloatBuffer(count: N * width)
    projected = hasHeadNorms ? FloatBuffer(count: N * width) : nil
    attended = FloatBuffer(count: N * queryWidth)
    gate = FloatBuffer(count: hasGate ? N * F : 0)
    up = FloatBuffer(count: N * F)
    attentionOut = FloatBuffer(count: hasPostNorms ? N * C : 0)
    feedForwardOut = FloatBuffer(count: hasPostNorms ? N * C : 0)
  }

  /// Queries, keys and values as attention sees them. `[N, W]`
  var projections: UnsafeMutablePointer<Float> { rotated.pointer }

  /// `active` and `normed` are computed again by the backward pass, so all blocks share them.
  func activations(
    input: UnsafeMutablePointer<Float>, output: UnsafeMutablePointer<Float>, active: UnsafeMutablePointer<Float>,
    normed: UnsafeMutablePointer<Float>
  ) -> BlockActivations {
    BlockActivations(
      input: input, middle: middle.pointer, output: output, projected: (projected ?? rotated).pointer,
      rotated: rotated.pointer, attended: attended.pointer, attentionOut: attentionOut.pointer,
      feedForwardOut: feedForwardOut.pointer, gate: gate.pointer, up: up.pointer, active: active, normed: normed)
  }
}

/// What the backward pass of any block works in.
final class BackwardScratch {
  /// The gradient of the residual stream, and of a half's output before its post norm. `[N, C]`
  let state, branch: FloatBuffer
  /// A normalised input, computed again, and its gradient. `[N, C]`
  let normed, dnormed: FloatBuffer
  /// The last map's input, computed again, and its gradient. `[N, F]`
  let active, dactive: FloatBuffer
  /// `[N, W]`
  let dprojected: FloatBuffer
  /// `[N, H * D]`: keys and values still by query head.
  let dattended, dkeys, dvalues: FloatBuffer

  init(_ transformer: Transformer, rows N: Int) {
    let C = transformer.shape.hiddenSize, F = transformer.widest { $0.feedForward.neurons }
    let Q = transformer.widest { $0.attention.form.shape.queryWidth }
    state = FloatBuffer(count: N * C)
    branch = FloatBuffer(count: transformer.hasPostNorms ? N * C : 0)
    normed = FloatBuffer(count: N * C)
    dnormed = FloatBuffer(count: N * C)
    active = FloatBuffer(count: N * F)
    dactive = FloatBuffer(count: N * F)
    dprojected = FloatBuffer(count: N * transformer.widest { $0.attention.width })
    dattended = FloatBuffer(count: N * Q)
    dkeys = FloatBuffer(count: N * Q)
    dvalues = FloatBuffer(count: N * Q)
  }
}
