// How a pruning run goes about it: the method, what comes after it, how much of what.

package import OrderedCollections
package import Tensors

/// What chooses the weights to prune.
package enum PruningMethod: Sendable {
  /// Scores, of which the smallest are pruned.
  case selector(Criterion)
  /// Masks and new weights together.
  case solver(Configured<any Solver>)

  package var method: MethodDescription {
    switch self {
    case .selector(let criterion): criterion.description.method
    case .solver(let solver): solver.method.description.method
    }
  }
  package var defaultGroup: MaskGroup {
    switch self {
    case .selector(let criterion): criterion.description.defaultGroup
    case .solver(let solver): solver.method.description.defaultGroup
    }
  }
  /// What it needs to know with its parameters.
  package func statistics(hasDataset: Bool) -> StatisticsNeed {
    switch self {
    case .selector(let criterion): criterion.statistics(hasDataset: hasDataset)
    case .solver: method.statistics
    }
  }
  package var parameters: OrderedDictionary<String, ParameterValue> {
    switch self {
    case .selector(let criterion): criterion.parameters
    case .solver(let solver): solver.parameters
    }
  }
  package var summary: String {
    switch self {
    case .selector(let criterion): criterion.summary
    case .solver(let solver): solver.summary
    }
  }
}

/// How a run prunes.
package struct PruningPlan: Sendable {
  package let method: PruningMethod
  /// Improves the masks of a selector.
  package var refiner: Configured<any Refiner>?
  /// Gives new weights under the masks of a selector.
  package var compensator: Configured<any Compensator>?
  /// How often scores, masks and new weights follow one another on the way to the target; 1 without a compensator.
  package var rounds = 1
  /// Fits the weights of each block afterwards; in layer-by-layer runs only.
  package var blockCompensator: Configured<any BlockCompensator>?
  package let target: SparsityTarget
  package let group: MaskGroup
  package let tensors: OrderedDictionary<String, PrunableTensor>
  /// What becomes of equal scores of a selector.
  package var ties = Ties.first
  /// What each tensor loses, where that is not `target`.
  package var allocation: [String: SparsityTarget] = [:]
  /// Scores from elsewhere for a selector that combines criteria, by name.
  package var terms: [(name: String, scores: ScoreSet)] = []

  package init(
    method: PruningMethod, target: SparsityTarget, group: MaskGroup,
    tensors: OrderedDictionary<String, PrunableTensor>
  ) {
    self.method = method
    self.target = target
    self.group = group
    self.tensors = tensors
  }

  package init(
    criterion: Criterion, target: SparsityTarget, group: MaskGroup,
    tensors: OrderedDictionary<String, PrunableTensor>
  ) {
    self.init(method: .selector(criterion), target: target, group: group, tensors: tensors)
  }

  func target(of tensor: String) -> SparsityTarget { allocation[tensor] ?? target }

  /// All that its parts want to know.
  package func statistics(hasDataset: Bool) -> StatisticsNeed {
    var need = method.statistics(hasDataset: hasDataset)
    if let refiner { need.formUnion(refiner.method.description.statistics) }
    if let compensator { need.formUnion(compensator.method.description.method.statistics) }
    return need
  }

  /// Which of its parts wants statistics even without a dataset; its method if none does.
  package var asker: String {
    let isMethod = method.statistics(hasDataset: false) != .none
    let others = [
      refiner.flatMap { $0.method.description.statistics == .none ? nil : $0.id },
      compensator.flatMap { $0.method.description.method.statistics == .none ? nil : $0.id }, blockCompensator?.id,
    ]
    return isMethod ? method.method.id : others.compactMap(\.self).first ?? method.method.id
  }
}

/// A pruned matrix: its mask, and what else changed.
package struct PrunedTensor: Sendable {
  package let mask: MaskBits
  /// New weights `[rows, columns]`, 0 where pruned; nil if the kept ones stay as they are.
  package var weights: FloatBuffer?
  /// What is added to the map's bias, `[rows]`; nil for nothing.
  package var bias: [Float]?

  package init(mask: MaskBits, weights: FloatBuffer? = nil, bias: [Float]? = nil) {
    self.mask = mask
    self.weights = weights
    self.bias = bias
  }
}

/// What a run found.
package struct PruningResult: Sendable {
  package let tensors: OrderedDictionary<String, PrunedTensor>
  /// ‖pruned - dense‖² / ‖dense‖² of each layer's output, given the same input from the pruned layers before; known
  /// for sequential runs only.
  package let layerErrors: [Double]?
  /// Layers whose statistics were computed earlier, of those that were needed.
  package var reusedLayers = 0
  package var neededLayers = 0

  package var masks: OrderedDictionary<String, MaskBits> { tensors.mapValues(\.mask) }
}
