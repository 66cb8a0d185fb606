// importance/score, query, compare, list, discard: what is worth keeping, and how criteria differ.

import Checkpoints
import Compression
import JSON
import OrderedCollections
import Tensors
import WireTypes

let importanceRoutes = [
  Route(
    ImportanceScore.self, model: \.model,
    access: { params in
      .reading(
        .model(params.model), .plugins, params.criterion.dataset.map { .dataset($0) },
        params.reward?.teacher.map { .model($0.model) }
      )
      .reading(terms: params.terms)
    }, prepare: score),
  Route(ImportanceQuery.self, access: { .reading(.scores($0.scores)) }, prepare: query),
  Route(ImportanceCompare.self, access: { .reading(.scores($0.a), .scores($0.b)) }, prepare: compare),
  Route(ImportanceList.self) { _, context in
    .answer(
      ImportanceList.result(
        context.scores.all.map { ScoresFacts($0.name, $0.value) }
          + context.unitScores.all.map { ScoresFacts($0.name, $0.value) }))
  },
  Route(ImportanceDiscard.self, access: { .writing(.scores($0.scores)) }) { params, context in
    if context.unitScores.remove(params.scores) == nil {
      _ = try context.scoreSet(params.scores)
      context.scores.remove(params.scores)
    }
    return .answer(ImportanceDiscard.result(scores: params.scores))
  },
]

private func score(_ params: ImportanceScore.Params, _ context: ServerContext) throws -> Plan {
  if params.criterion.plugin == RewardScoringRequest.id { return try scoreByRewards(params, context) }
  if params.unit != "weight" { return try scoreUnits(params, context) }
  let model = try context.model(params.model)
  let state = try model.state(params.revision)
  let request = try context.scoringRequest(params)
  let tensors = try state.prunableTensors(matching: params.criterion.modules)
  let compute = try context.compute()
  return .work(.compute) { monitor in
    let start = monotonicSeconds(), diagnostics = Diagnostics(tensors: tensors.keys)
    let scoring = try Compression.score(
      state, model: params.model, tensors: tensors, request: request, store: context.statistics, compute: compute,
      monitor: monitor, diagnostics: diagnostics)
    try model.checkpoint.requireIntact()
    let name = try context.keep(scoring.scores, of: model, in: context.scores)
    return ImportanceScore.result(
      ScoresFacts(name, scoring.scores),
      statistics: StatisticsFacts(reusedLayers: scoring.reusedLayers, neededLayers: scoring.neededLayers),
      tensors: scoring.scores.tensors.map { ImportanceScore.Tensor($0.key, $0.value.summary) },
      diagnostics: diagnostics.json, seconds: monotonicSeconds() - start)
  }
}

extension ServerContext {
  /// How a request has weights scored.
  /// - Throws: `CompressionError.datasetRequired` and others; as `criterion` and `terms`.
  func scoringRequest(_ params: ImportanceScore.Params) throws -> ScoringRequest {
    let criterion = try criterion(params.criterion)
    var request = ScoringRequest(criterion, dataset: try params.criterion.dataset.map(uniformDataset))
    if request.dataset == nil, criterion.statistics(hasDataset: false) != .none {
      throw CompressionError.datasetRequired(plugin: criterion.id)
    }
    request.terms = try terms(params.terms, for: criterion, model: params.model)
    request.training = params.training.map { GradientTraining(steps: $0.steps, learningRate: $0.learningRate) }
    return request
  }
}

private func query(_ params: ImportanceQuery.Params, _ context: ServerContext) throws -> Plan {
  if let units = context.unitScores.value(params.scores) { return try queryUnits(units, params) }
  let set = try context.scoreSet(params.scores)
  let tensorMissing = JSONFieldError(
    .missingField, path: "params.tensor", expected: "a string: \(params.scores) are of weights")
  if case .units = params.question { throw tensorMissing }
  guard let matrix = set.tensors[params.tensor]?.matrix else {
    throw CompressionError.tensorNotScored(name: params.tensor)
  }
  let pool = try context.compute().pool
  switch params.question {
  case .region(let param, let encoding):
    let region = MatrixRegion(param)
    try region.check(tensor: params.tensor, rows: matrix.rows, columns: matrix.columns)
    return .answer(
      ImportanceQuery.result(
        scores: params.scores, tensor: params.tensor, rows: region.rows.count, columns: region.columns.count,
        values: matrix.values(in: region), encoding: encoding))
  case .top(let count, let largest):
    return .work(.interactive) { _ in
      ImportanceQuery.result(
        scores: params.scores, tensor: params.tensor,
        top: matrix.extremes(count, largest: largest, pool: pool).map { ($0.row, $0.column, $0.score) })
    }
  case .heatmap(let grid, let encoding):
    return .work(.interactive) { _ in
      ImportanceQuery.result(
        scores: params.scores, tensor: params.tensor,
        heatmap: matrix.heatmap(rows: grid.rows, columns: grid.columns), encoding: encoding)
    }
  case .units: throw tensorMissing
  }
}

private func compare(_ params: ImportanceCompare.Params, _ context: ServerContext) throws -> Plan {
  let a = try context.scoreSet(params.a), b = try context.scoreSet(params.b)
  let target = try SparsityTarget(params.target)
  let group = params.group.flatMap(MaskGroup.init)
  let pool = try context.compute().pool
  return .work(.interactive) { monitor in
    let start = monotonicSeconds()
    let agreements = try Compression.compare(a, b, target: target, group: group, pool: pool, monitor: monitor)
    return ImportanceCompare.result(
      a: params.a, b: params.b, target: target.description,
      tensors: agreements.map { ImportanceCompare.Agreement($0.key, $0.value) },
      mean: .mean(of: Array(agreements.values)), seconds: monotonicSeconds() - start)
  }
}

extension ImportanceScore.Tensor {
  init(_ name: String, _ summary: ScoreSummary) {
    self.init(
      tensor: name, minimum: summary.minimum, maximum: summary.maximum, mean: summary.mean,
      quantiles: zip(ScoreSummary.quantileFractions, summary.quantiles).map { ($0, $1) },
      histogram: summary.histogram)
  }
}

extension ImportanceCompare.Agreement {
  fileprivate init(_ name: String, _ agreement: TensorAgreement) {
    self.init(
      tensor: name, rankCorrelation: agreement.rankCorrelation, maskAgreement: agreement.maskAgreement,
      prunedOverlap: agreement.prunedOverlap)
  }

  fileprivate static func mean(of all: [TensorAgreement]) -> Self {
    func mean(_ value: (TensorAgreement) -> Double) -> Double { all.map(value).reduce(0, +) / Double(all.count) }
    return Self(
      tensor: nil, rankCorrelation: mean(\.rankCorrelation), maskAgreement: mean(\.maskAgreement),
      prunedOverlap: mean(\.prunedOverlap))
  }
}
