// All that methods asked to know about the tensors of one revision, found or computed.

import OrderedCollections
import Tensors
import Workspace

/// Statistics of the inputs of tensors and of gradients, on a revision as it is.
struct Knowledge {
  private let state: ModelState
  private let calibration: Calibration?
  private let gradients: [String: GradientSums]
  private let regional: [String: GradientSums]
  /// Layers of which everything was remembered; gradients are computed each time.
  let reusedLayers: Int
  /// Layers that something was to be known of.
  let neededLayers: Int

  /// - Parameters:
  ///   - plugin: who asks, for the error if there is no dataset.
  ///   - training: of the model while gradients are summed; nil leaves the weights where they are.
  /// - Throws: `CompressionError.datasetRequired` and others, `TransformerError`, `Cancelled`.
  init(
    _ state: ModelState, tensors: OrderedDictionary<String, PrunableTensor>, need: StatisticsNeed, dataset: Dataset?,
    plugin: String, training: GradientTraining? = nil, store: StatisticsStore, compute: Compute, monitor: Monitor
  ) throws {
    self.state = state
    neededLayers = need == .none ? 0 : tensors.lastLayer + 1
    guard need != .none else {
      reusedLayers = 0
      (calibration, gradients, regional) = (nil, [:], [:])
      return
    }
    guard let dataset else { throw CompressionError.datasetRequired(plugin: plugin) }
    let parts = monitor.parts([need.areOfInputs, need.contains(.gradients), need.contains(.regionalGradients)])
    calibration =
      need.areOfInputs
      ? try calibrate(
        state, dataset: dataset, need: need, layers: 0..<(tensors.lastLayer + 1), store: store, compute: compute,
        monitor: parts[0]) : nil
    let areRemembered = !need.contains(.gradients) && !need.contains(.regionalGradients)
    reusedLayers = areRemembered ? calibration?.reusedLayers ?? 0 : 0
    gradients =
      need.contains(.gradients)
      ? try gradientSums(
        state, dataset: dataset, tensors: Array(tensors.keys), training: training, store: store, compute: compute,
        monitor: parts[1]) : [:]
    regional =
      need.contains(.regionalGradients)
      ? try regionalGradients(
        state, dataset: dataset, tensors: Array(tensors.values), store: store, compute: compute, monitor: parts[2])
      : [:]
  }

  func statistics(of tensor: PrunableTensor) throws -> MatrixStatistics {
    MatrixStatistics(
      input: try calibration?.statistics(of: tensor, model: state.transformer) ?? InputStatistics(),
      gradients: gradients[tensor.name], regionalGradients: regional[tensor.name])
  }
}

extension Monitor {
  /// Equal shares of this monitor for those parts that there are; a part that there is not gets an empty one.
  fileprivate func parts(_ present: [Bool]) -> [Monitor] {
    let count = Double(max(1, present.filter { $0 }.count))
    var done = 0.0
    return present.map { isPresent in
      let start = done / count
      if isPresent { done += 1 }
      return part(start...(done / count))
    }
  }
}
