// Scores of structures out of scores of weights, from any criterion: the sum over the weights that go together.
// (Ma et al. 2023, LLM-Pruner, section 3.2: group importance by summation)

import OrderedCollections
package import Tensors
import Transformers
import Workspace

/// Sums a criterion's scores over every structure.
///
/// Summed are, of the matrices of linear maps: a head's query rows and columns of the output map, with the key and value
/// rows if they serve it alone; a neuron's rows and column; a channel's rows and columns of all maps; all of a layer.
/// Sums are in double, in row order.
/// - Throws: `CompressionError.tensorNotScored` if the scores leave out a matrix of the structures, `.nonFiniteScores`
///   for a sum that is NaN, `.channelsNotRemovable`, `Cancelled`.
package func aggregateUnits(
  _ scores: ScoreSet, state: ModelState, target: UnitTarget, compute: Compute, monitor: Monitor
) throws -> UnitScores {
  if target == .channel { try state.requireRemovableChannels() }
  let model = state.transformer, layers = model.shape.layers
  var channels = [Double](repeating: 0, count: model.shape.hiddenSize), layerSums: [Double] = []
  var groups: [UnitGroup] = []
  for layer in 0..<layers {
    try monitor.checkCancelled()
    monitor.report(Double(layer) / Double(layers), "adding up layer \(layer + 1) of \(layers)")
    var sums = MarginSums(scores: scores, matrices: Set(model.linearInputs(layer: layer).flatMap(\.tensors)))
    let counts = model.unitCounts(layer: layer)
    switch target {
    case .head, .neuron, .width:
      for unit in target.kinds {
        let values: [Double] = try (0..<(unit == .head ? counts.heads : counts.neurons)).map { index in
          let isOwn = model.keyValueHeads(layer: layer) == counts.heads
          let slices =
            unit == .neuron
            ? model.slices(of: .neuron(index), layer: layer)
            : isOwn
              ? model.slices(ofHeads: [index], layer: layer) : model.slices(of: .head(index), layer: layer)
          return try sums.sum(slices)
        }
        groups.append(
          try checkedGroup(
            unit: unit, layer: layer, scores: values, count: values.count, plugin: scores.provenance.plugin))
      }
    case .channel:
      for channel in channels.indices {
        let unit = StructuralUnit.channel(channel)
        channels[channel] += try sums.sum(
          model.slices(of: unit, layer: layer) + model.dependentSlices(of: unit, layer: layer))
      }
    case .layer:
      layerSums.append(
        try sums.sum(model.slices(of: .layer, layer: layer) + model.dependentSlices(of: .layer, layer: layer)))
    }
  }
  for (unit, values) in [(UnitKind.channel, channels), (.layer, layerSums)] where target.kinds == [unit] {
    groups = [
      try checkedGroup(unit: unit, layer: nil, scores: values, count: values.count, plugin: scores.provenance.plugin)
    ]
  }
  return UnitScores(
    provenance: scores.provenance, target: target, defaultGroup: scores.defaultGroup == .global ? .global : .matrix,
    groups: groups)
}

/// Sums of the rows and of the columns of scored matrices, each taken once.
private struct MarginSums {
  let scores: ScoreSet
  /// The matrices that count; slices of others (biases) are passed over.
  let matrices: Set<String>
  private var known: [String: (rows: [Double], columns: [Double])] = [:]

  init(scores: ScoreSet, matrices: Set<String>) {
    self.scores = scores
    self.matrices = matrices
  }

  mutating func sum(_ slices: [WeightSlice]) throws(CompressionError) -> Double {
    var total = 0.0
    for slice in slices where matrices.contains(slice.tensor) {
      let margins = try margins(of: slice.tensor)
      total += (slice.axis == .rows ? margins.rows : margins.columns)[slice.range].reduce(0, +)
    }
    return total
  }

  private mutating func margins(of tensor: String) throws(CompressionError) -> (rows: [Double], columns: [Double]) {
    if let sums = known[tensor] { return sums }
    guard let matrix = scores.tensors[tensor]?.matrix else { throw .tensorNotScored(name: tensor) }
    var rows = [Double](repeating: 0, count: matrix.rows), columns = [Double](repeating: 0, count: matrix.columns)
    let values = matrix.values.pointer
    for row in 0..<matrix.rows {
      let start = values + row * matrix.columns
      var sum = 0.0
      for column in 0..<matrix.columns {
        let value = Double(start[column])
        sum += value
        columns[column] += value
      }
      rows[row] = sum
    }
    known[tensor] = (rows, columns)
    return (rows, columns)
  }
}
