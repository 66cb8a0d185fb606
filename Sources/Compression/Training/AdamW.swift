// The optimiser of training: AdamW with clipping by the global norm, weight decay on matrices only, masks respected.

import OrderedCollections
package import Tensors
package import Transformers

/// What AdamW is told. (Loshchilov & Hutter 2019)
package struct AdamWOptions: Sendable, Equatable {
  package var beta1 = 0.9
  package var beta2 = 0.999
  package var epsilon = 1e-8
  /// Decoupled, on matrices; norms and biases are not decayed.
  package var weightDecay = 0.01
  /// Gradients are scaled down to this norm over all parameters if theirs is larger; nil leaves them. (Pascanu et al.
  /// 2013)
  package var maximumNorm: Double? = 1

  package init() {}
}

/// The moments of all parameters, and the steps that made them.
package final class AdamW {
  package let options: AdamWOptions
  package private(set) var steps: Int
  /// Running means of the gradients and of their squares.
  package let first, second: ParameterBlock

  package init(_ layout: ParameterLayout, _ options: AdamWOptions = AdamWOptions()) {
    self.options = options
    steps = 0
    first = ParameterBlock(layout)
    second = ParameterBlock(layout)
  }

  /// The state after `steps` steps, whose moments are to be filled in by who restores it.
  init(restoring layout: ParameterLayout, _ options: AdamWOptions, steps: Int) {
    self.options = options
    self.steps = steps
    first = ParameterBlock(layout)
    second = ParameterBlock(layout)
  }

  /// Goes to where it was after `steps` steps; who restores it has filled in the moments.
  func restore(steps: Int) { self.steps = steps }

  /// The same moments in memory of their own.
  func copied(pool: ComputePool) -> AdamW {
    let copy = AdamW(restoring: first.layout, options, steps: steps)
    copy.first.copy(first, pool: pool)
    copy.second.copy(second, pool: pool)
    return copy
  }

  /// The norm of masked gradients together.
  /// - Throws: `TrainingError.nonFiniteGradient`.
  func norm(of gradients: [ParameterBlock], compute: Compute) throws(TrainingError) -> Double {
    let norm = gradients.reduce(0) {
      $0 + compute.sumOfSquares($1.values.pointer, count: $1.values.count)
    }.squareRoot()
    guard norm.isFinite else { throw .nonFiniteGradient(step: steps + 1) }
    return norm
  }

  /// What gradients of norm `norm` are multiplied with.
  func clipping(norm: Double) -> Double { options.maximumNorm.map { min(1, $0 / (norm + 1e-6)) } ?? 1 }

  /// Moves `parameters` one step against `scale * gradients`, which are masked and finite.
  ///
  /// Pruned weights and their moments stay zero to the bit.
  func step(
    _ parameters: Parameters, _ gradients: ParameterBlock, learningRate: Double, scale: Double, compute: Compute
  ) {
    steps += 1
    for (name, entry) in parameters.layout.entries {
      let numbers = AdamWStep(
        learningRate: learningRate, beta1: options.beta1, beta2: options.beta2, epsilon: options.epsilon,
        decay: entry.isMatrix ? options.weightDecay : 0, step: steps, gradientScale: scale)
      let columns = entry.shape.last ?? 1
      compute.adamW(
        parameters.block[name], first[name], second[name], gradients[name], rows: entry.count / columns,
        columns: columns, mask: parameters.masks[name], numbers)
    }
  }
}

extension ParameterBlock {
  /// Sets to zero what `masks` prune.
  package func apply(_ masks: [String: MaskBits], compute: Compute) {
    for (name, mask) in masks {
      guard let entry = layout.entries[name], let columns = entry.shape.last else { continue }
      compute.applyMask(mask, to: self[name], rows: entry.count / columns, columns: columns)
    }
  }
}
