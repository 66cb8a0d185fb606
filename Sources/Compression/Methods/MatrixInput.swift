// One weight matrix as a method sees it.

package import Tensors

/// A matrix with what is known about it. Pointers are valid during the call only.
package struct MatrixInput {
  package let tensor: String
  /// Index of the transformer layer, nil for a tensor outside the layers.
  package let layer: Int?
  /// Outputs of the linear map.
  package let rows: Int
  /// Inputs of the linear map.
  package let columns: Int
  /// `[rows, columns]`, row-major, fp32; pruned weights are zero.
  package let weights: UnsafeBufferPointer<Float>
  /// What the method asked for, at least.
  package let statistics: MatrixStatistics
  /// Scores of the same tensor from elsewhere, by name (`SelectorDescription.terms`).
  package let terms: [(name: String, scores: ScoreMatrix)]

  package init(
    tensor: String, layer: Int?, rows: Int, columns: Int, weights: UnsafeBufferPointer<Float>,
    statistics: MatrixStatistics = MatrixStatistics(), terms: [(name: String, scores: ScoreMatrix)] = []
  ) {
    self.tensor = tensor
    self.layer = layer
    self.rows = rows
    self.columns = columns
    self.weights = weights
    self.statistics = statistics
    self.terms = terms
  }
}

extension MatrixInput {
  /// - Parameter weights: `[tensor.rows, tensor.columns]`.
  init(
    _ tensor: PrunableTensor, weights: UnsafePointer<Float>, statistics: MatrixStatistics = MatrixStatistics(),
    terms: [(name: String, scores: ScoreMatrix)] = []
  ) {
    self.init(
      tensor: tensor.name, layer: tensor.layer, rows: tensor.rows, columns: tensor.columns,
      weights: UnsafeBufferPointer(start: weights, count: tensor.elementCount), statistics: statistics, terms: terms)
  }
}

/// How much of a matrix is to be pruned: a target within groups. The group is matrix, row or column; a pattern brings
/// its own.
package struct Budget: Sendable, Equatable {
  package let target: SparsityTarget
  package let group: MaskGroup
  /// Rounds that came before this one, of those that choose the mask anew.
  package let round: Int
  /// Rounds that follow.
  package let roundsLeft: Int

  package init(target: SparsityTarget, group: MaskGroup, round: Int = 0, roundsLeft: Int = 0) {
    self.target = target
    self.group = group
    self.round = round
    self.roundsLeft = roundsLeft
  }
}
