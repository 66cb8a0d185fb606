// The loss of one sequence again and again, at weights that differ in one tensor: layers before it are not computed
// anew.

import OrderedCollections
import Tensors
import Transformers
import Workspace

/// Computes losses in fp32, their mean in double. Used by one thread at a time.
final class LossProbe {
  private let base: TrainingPass
  private let parameters: Parameters
  private let tokens: [Int32]
  private let compute: Compute
  private let cancellation: Cancellation
  private let pass: ForwardPass
  private let hidden: FloatBuffer
  /// The layer from which on a tensor matters: -1 for embeddings, the count of layers for what comes behind them.
  private let stages: [String: Int]

  private var transformer: Transformer { base.transformer }
  private var batch: Batch { Batch(sequences: 1, length: tokens.count) }

  /// - Parameter base: has taken `tokens` forward through `parameters`; its states are read from now on.
  init(
    _ base: TrainingPass, _ parameters: Parameters, tokens: [Int32], compute: Compute, cancellation: Cancellation
  ) {
    self.base = base
    self.parameters = parameters
    self.tokens = tokens
    self.compute = compute
    self.cancellation = cancellation
    let transformer = base.transformer
    pass = transformer.makeForwardPass(batch: Batch(sequences: 1, length: tokens.count), compute: compute)
    hidden = FloatBuffer(count: tokens.count * transformer.shape.hiddenSize)
    var stages: [String: Int] = [:]
    for layer in 0..<transformer.shape.layers {
      for name in transformer.tensors(layer: layer) { stages[name] = layer }
    }
    for name in transformer.embeddingTensors { stages[name] = -1 }
    self.stages = stages
  }

  /// The mean loss at the present weights, of which only those of `tensor` differ from those that `base` went through.
  func loss(movedIn tensor: String) throws(Cancelled) -> Double {
    let stage = stages[tensor] ?? transformer.shape.layers
    if stage < 0 {
      pass.embed(tokens, into: hidden.pointer, batch: batch, weights: parameters)
    } else {
      compute.copy(hidden.pointer, from: base.state(enteringLayer: stage), count: hidden.count)
    }
    return try loss(fromLayer: max(0, stage))
  }

  /// What rounding may do to the loss: three times the root mean square of its changes when what enters the first layer
  /// is shaken in its last bit, eight times over, and at least the rounding of the loss itself. Every layer behind
  /// rounds anew, so this counts what the weights and the sequence amplify.
  func noise(seed: UInt64) throws(Cancelled) -> Double {
    var generator = SplitMix64(seed: seed, name: "noise")
    let entering = base.state(enteringLayer: 0)
    func shaken(by size: Float) throws(Cancelled) -> Double {
      for index in 0..<hidden.count {
        hidden.pointer[index] = entering[index] * (1 + (generator.next() % 2 == 0 ? size : -size))
      }
      return try loss(fromLayer: 0)
    }
    let still = try shaken(by: 0)
    var squares = 0.0
    for _ in 0..<8 {
      let change = try shaken(by: 0x1p-23) - still
      squares += change * change
    }
    return 3 * (squares / 8).squareRoot() + 0x1p-24 * abs(still)
  }

  /// The root mean square of a tensor's weights, 0.01 at least.
  func scale(of name: String) -> Double {
    guard let count = parameters.layout.entries[name]?.count, count > 0 else { return 0.01 }
    return max(0.01, (compute.sumOfSquares(parameters.block[name], count: count) / Double(count)).squareRoot())
  }

  private func loss(fromLayer first: Int) throws(Cancelled) -> Double {
    try cancellation.check()
    for layer in first..<transformer.shape.layers {
      try pass.layer(layer, hidden: hidden.pointer, batch: batch, weights: parameters, cancellation: cancellation)
    }
    let losses = try pass.nextTokenLosses(
      hidden: hidden.pointer, tokens: tokens, batch: batch, weights: parameters, cancellation: cancellation)
    return losses.reduce(0, +) / Double(losses.count)
  }
}
