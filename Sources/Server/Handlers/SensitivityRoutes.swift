// evaluate/sensitivity: which layers can lose how much.

import Checkpoints
import Compression
import Glibc
import JSON
import JSONRPC
import OrderedCollections
import Tensors
import Transformers
import WireTypes
import Workspace

let sensitivityRoutes = [
  Route(
    EvaluateSensitivity.self, model: \.model,
    access: { params in
      guard case .new(_, let dataset, _, let change) = params.question else {
        return .reading(.model(params.model))
      }
      guard case .pruning(_, _, let calibration) = change else {
        return .reading(.model(params.model), .dataset(dataset))
      }
      return .reading(.model(params.model), .dataset(dataset), .plugins, calibration.map { .dataset($0) })
    }, prepare: sensitivity)
]

/// What was found of a model's sensitivity, and the question that it answers.
struct LoadedSensitivity: Sendable {
  let table: SensitivityTable
  let model: LoadedModel
  let question: SensitivityQuestion
}

private func sensitivity(_ params: EvaluateSensitivity.Params, _ context: ServerContext) throws -> Plan {
  let model = try context.model(params.model)
  let question = try context.question(params, model)
  let layers = params.layers ?? question.layers
  try question.require(layers)
  let sparsities = question.pruning == nil ? [1] : params.sparsities
  let compute = try context.compute()
  let (name, table) = context.table(for: question, of: model)
  return .work(.compute) { monitor in
    let start = monotonicSeconds(), diagnostics = Diagnostics(tensors: question.state.prunableTensors.keys)
    diagnostics.reportCalibration(
      of: question.state.revision, evaluatedOn: question.windows.dataset, as: "The revision")
    if question.calibratesOnEvaluation {
      diagnostics.add(
        Diagnostic(
          .information, kind: "calibrationIsEvaluation",
          "Statistics are of the same text as the losses, which flatters the method. Give another `calibration`."))
    }
    let pairs = layers.flatMap { layer in sparsities.map { (layer, $0) } }
    let known = pairs.count { table.loss(layer: $0.0, sparsity: $0.1) != nil }
    var stream = params.partialResultToken.map { SensitivityStream(token: $0, name: name, outbox: context.outbox) }
    func points() -> [EvaluateSensitivity.Point] {
      let baseline = table.baseline ?? .nan
      return pairs.compactMap { layer, sparsity in
        table.loss(layer: layer, sparsity: sparsity).map {
          EvaluateSensitivity.Point(
            SensitivityPoint(layer: layer, sparsity: sparsity, loss: $0), baseline: baseline)
        }
      }
    }
    do {
      try question.find(
        table, layers: layers, sparsities: sparsities, store: context.statistics, compute: compute, monitor: monitor,
        diagnostics: diagnostics
      ) { point in try stream?.tell(EvaluateSensitivity.Point(point, baseline: table.baseline ?? .nan)) }
    } catch is Cancelled {
      throw ResponseError(
        .requestCancelled, kind: "cancelled",
        "The request was cancelled. What was found stays known: the same request goes on from there.",
        facts: [
          "sensitivity": JSON(name), "points": EvaluateSensitivity.list(table.baseline == nil ? [] : points()),
          "complete": false,
        ])
    }
    try model.checkpoint.requireIntact()
    try stream?.tellTheRest()
    return EvaluateSensitivity.result(
      sensitivity: name, model: model.name, revision: question.state.revision.id, window: question.windows.length,
      baselineLoss: table.baseline ?? .nan, points: points(), reusedPoints: known, diagnostics: diagnostics.json,
      seconds: monotonicSeconds() - start)
  }
}

extension ServerContext {
  /// What a request asks, from its own words or from the handle of an earlier answer.
  fileprivate func question(
    _ params: EvaluateSensitivity.Params, _ model: LoadedModel
  ) throws -> SensitivityQuestion {
    switch params.question {
    case .continued(let name): return try sensitivity(name, of: model).question
    case .new(let revision, let dataset, let window, let change):
      let state = try model.state(revision), data = try self.uniformDataset(dataset)
      let windows = try DatasetWindows(data, length: window)
      guard case .pruning(let criterion, let group, let calibration) = change else {
        return SensitivityQuestion(state, windows: windows, pruning: nil)
      }
      let pruning = LayerPruningRequest(
        method: try pruningMethod(criterion), group: group.flatMap(MaskGroup.init),
        calibration: try calibration.map(self.uniformDataset) ?? data,
        tensors: try state.prunableTensors(matching: criterion.modules))
      return SensitivityQuestion(state, windows: windows, pruning: pruning)
    }
  }

  /// What was measured under a handle.
  /// - Throws: `ServerError.sensitivityNotFound`, also for another model's.
  func sensitivity(_ name: String, of model: LoadedModel) throws(ServerError) -> LoadedSensitivity {
    if let loaded = sensitivities.value(name), loaded.model === model { return loaded }
    throw .sensitivityNotFound(
      name: name, sensitivities: sensitivities.all.filter { $0.value.model === model }.map(\.name))
  }

  /// The table of a question with its handle, an old one if the question is. Called in the control lane only.
  fileprivate func table(
    for question: SensitivityQuestion, of model: LoadedModel
  ) -> (name: String, table: SensitivityTable) {
    let key = question.key
    let found = sensitivities.all.first { $0.value.model === model && $0.value.table.key == key }
    if let found { return (found.name, found.value.table) }
    let table = SensitivityTable(key)
    let loaded = LoadedSensitivity(table: table, model: model, question: question)
    return (sensitivities.add(loaded) ?? "", table)
  }
}

extension EvaluateSensitivity.Point {
  fileprivate init(_ point: SensitivityPoint, baseline: Double) {
    self.init(
      layer: point.layer, sparsity: point.sparsity, loss: point.loss, perplexity: exp(point.loss), baseline: baseline)
  }
}

/// Sends points as they are found, at most twenty notifications a second. A client that does not read is not waited
/// for: it is told later.
private struct SensitivityStream {
  private static let interval = 0.05

  private let token: JSON
  private let name: String
  private let outbox: Outbox
  private var untold: [EvaluateSensitivity.Point] = []
  private var lastTime = 0.0

  init(token: JSON, name: String, outbox: Outbox) {
    self.token = token
    self.name = name
    self.outbox = outbox
  }

  mutating func tell(_ point: EvaluateSensitivity.Point) throws {
    untold.append(point)
    let now = monotonicSeconds()
    guard now - lastTime >= Self.interval, try outbox.sendNow(message) else { return }
    untold = []
    lastTime = now
  }

  /// Before the answer.
  mutating func tellTheRest() throws {
    if !untold.isEmpty { try outbox.send(message) }
    untold = []
  }

  private var message: JSON {
    let params = EvaluateSensitivity.partialResult(token: token, sensitivity: name, points: untold)
    return Notification(method: Progress.name, params: params).json
  }
}
