// Figures that PyTorch and the methods' own code gave: how a reference file is read, and how a run here is compared.

import Compression
import JSON
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

/// A row of a reference: a method at a target.
struct ReferenceRow: Sendable {
  let method: String
  let target: String
  let perplexity: Double
  let losses: [Double]
}

/// The rows of a reference file.
/// - Parameter target, losses: the names of those members, which the files spell differently.
func referenceRows(_ document: JSON, target: String, losses: String) throws -> [ReferenceRow] {
  try #require(document["rows"]?.array).map { row in
    ReferenceRow(
      method: try #require(row["method"]?.string),
      target: try #require(row[target].map { $0.string ?? "\($0.number ?? .nan)" }),
      perplexity: try #require(row["perplexity"]?.number),
      losses: try #require(row[losses]?.array).compactMap(\.number))
  }
}

func readJSON(_ path: String) throws -> JSON {
  try JSON.parse(try #require(TemporaryFolder.read(path), "\(path) cannot be read"), limits: .file)
}

/// A model with the texts that a reference was made with.
struct ReferenceRun: Sendable {
  let model: TestModel
  let calibration: Dataset
  let evaluation: Dataset
  let rows: [ReferenceRow]

  func row(_ method: String, _ target: String) throws -> ReferenceRow {
    try #require(rows.first { $0.method == method && $0.target == target })
  }

  func evaluate(_ masks: OrderedDictionary<String, MaskBits> = [:]) throws -> Perplexity {
    var blobs: [String: MaskBlob?] = [:]
    for (name, bits) in masks { blobs[name] = MaskBlob(bits) }
    let history = History(
      tensors: model.history.current.replacing(masks: blobs), operation: Operation(method: "test", summary: ""))
    return try evaluatePerplexity(
      ModelState(transformer: model.transformer, revision: history.current), dataset: evaluation,
      compute: Engine.compute, monitor: Monitor())
  }

  /// Scores of the magnitudes of all prunable weights.
  func magnitudes() throws -> OrderedDictionary<String, ScoreMatrix> {
    try score(
      model.state, model: "", tensors: model.state.prunableTensors,
      request: ScoringRequest(Criterion(Magnitude())), store: Engine.store(), compute: Engine.compute,
      monitor: Monitor(), diagnostics: Diagnostics()
    ).scores.tensors.mapValues(\.matrix)
  }

  func masks(
    _ scores: OrderedDictionary<String, ScoreMatrix>, _ target: SparsityTarget, ties: Ties = .first
  ) throws -> OrderedDictionary<String, MaskBits> {
    try selectMasks(
      scores, target: target, group: .matrix, ties: ties, pool: Engine.compute.pool, monitor: Monitor())
  }

  /// Wanda, layer by layer.
  func wanda(_ target: SparsityTarget) throws -> OrderedDictionary<String, MaskBits> {
    let plan = PruningPlan(
      criterion: Criterion(Wanda()), target: target, group: .row, tensors: model.state.prunableTensors)
    return try pruneSequentially(
      model.state, plan: plan, dataset: calibration, store: Engine.store(), compute: Engine.compute,
      monitor: Monitor(), diagnostics: Diagnostics()
    ).masks
  }
}
