// What a run owes its user beside the result: room before it begins, and a word about whatever looks wrong.

import OrderedCollections
import Tensors
import Transformers

extension PruningPlan {
  /// Bytes of new weights that the run makes.
  var newWeightBytes: Int {
    var isSolver = false
    if case .solver = method { isSolver = true }
    guard isSolver || compensator != nil || blockCompensator != nil else { return 0 }
    return tensors.values.reduce(0) { $0 + 4 * $1.elementCount }
  }

  /// Bytes of the largest tensor's weights, scores and mask while it is worked on.
  var scratchBytes: Int { 12 * tensors.largestElementCount }
}

extension Transformer {
  /// Bytes that the statistics of the widest layer take while they are collected, for up to `rows` rows at a time.
  func observationBytes(need: StatisticsNeed, rows: Int) -> Int {
    (0..<shape.layers).map { LayerObserver.bytes(linearInputs(layer: $0), need: need, rows: rows) }.max() ?? 0
  }
}

extension InputStatistics {
  /// Says which inputs were zero in all of the calibration data.
  func reportDeadInputs(of tensor: String, to diagnostics: Diagnostics) {
    guard let squares = moments?.sumOfSquares else { return }
    let dead = squares.indices.filter { squares[$0] == 0 }
    guard let first = dead.first else { return }
    diagnostics.add(
      Diagnostic(
        .warning, kind: "deadInputs", tensor: tensor,
        "\(dead.count) of \(squares.count) inputs are zero in all of the calibration data, the first of them \(first): "
          + "nothing is known about the weights of these columns."))
  }
}

/// The relative error of an output above which pruning is called a collapse.
let collapse = 0.9

/// Says that a layer has lost nearly all that it said.
func reportCollapse(layer: Int, tensors: some Sequence<String>, error: Double, to diagnostics: Diagnostics) {
  guard !(error <= collapse) else { return }
  let name = tensors.first { _ in true }
  diagnostics.add(
    Diagnostic(
      .warning, kind: "layerCollapse", tensor: name,
      "Layer \(layer) lost its output: the relative squared error against the layer before pruning is \(error). "
        + "Prune it less (`allocation`), or take a method that gives new weights."))
}
