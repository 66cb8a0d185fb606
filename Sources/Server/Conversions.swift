// Between the words of the protocol and those of the domain.

import Compression
import JSON
import OrderedCollections
import PluginHost
import Tensors
import Transformers
import WireTypes
import Workspace

// MARK: From the wire

extension ServerContext {
  /// - Throws: `ServerError.modelNotFound`.
  func model(_ name: String) throws(ServerError) -> LoadedModel {
    guard let model = models.value(name) else { throw .modelNotFound(name: name, models: models.names) }
    return model
  }

  /// A dataset of whatever sequences.
  /// - Throws: `ServerError.datasetNotFound`.
  func dataset(_ name: String) throws(ServerError) -> Dataset {
    guard let loaded = datasets.value(name) else { throw .datasetNotFound(name: name, datasets: datasets.names) }
    return loaded.dataset
  }

  /// A dataset whose sequences are all of one length.
  /// - Throws: `ServerError.datasetNotFound`, `WorkspaceError.datasetNotUniform`.
  func uniformDataset(_ name: String) throws -> Dataset {
    let dataset = try dataset(name)
    try dataset.requireUniform()
    return dataset
  }

  /// Scores of weights.
  /// - Throws: `ServerError.scoresNotFound`; `CompressionError.unitRequestInvalid` if they are of units.
  func scoreSet(_ name: String) throws -> ScoreSet {
    if let set = scores.value(name) { return set }
    if let units = unitScores.value(name) {
      throw CompressionError.unitRequestInvalid(
        reason: "\(name) are of the unit \"\(units.target.rawValue)\", and scores of weights are needed here")
    }
    throw ServerError.scoresNotFound(name: name, scores: scores.names + unitScores.names)
  }

  /// Scores of units.
  /// - Throws: `ServerError.scoresNotFound`; `CompressionError.unitRequestInvalid` if they are of weights.
  func unitScoreSet(_ name: String) throws -> UnitScores {
    if let units = unitScores.value(name) { return units }
    guard scores.value(name) == nil else {
      throw CompressionError.unitRequestInvalid(
        reason: "\(name) are of weights, and scores of units are needed here; see importance/score")
    }
    throw ServerError.scoresNotFound(name: name, scores: scores.names + unitScores.names)
  }
}

extension SparsityTarget {
  init(_ param: SparsityParam) throws(CompressionError) {
    switch param {
    case .sparsity(let ratio): try self.init(ratio: ratio)
    case .pattern(let pattern): try self.init(pattern: pattern)
    }
  }

  /// `50 %` or `2:4`.
  var words: String {
    switch self {
    case .ratio(let ratio):
      let percent = ratio * 100
      return percent == percent.rounded() ? "\(Int(percent)) %" : "\(percent) %"
    case .pattern: return description
    }
  }
}

extension MatrixRegion {
  init(_ param: RegionParam) { self.init(rows: param.rows, columns: param.columns) }
}

// MARK: To the wire

extension ParameterValue {
  var json: JSON {
    switch self {
    case .number(let value): JSON(value)
    case .integer(let value): .integer(value)
    case .boolean(let value): JSON(value)
    case .choice(_, let word): JSON(word)
    case .text(let text): JSON(text)
    }
  }
}

extension ScoresFacts {
  init(_ name: String, _ set: ScoreSet) {
    let provenance = set.provenance
    self.init(
      scores: name, model: provenance.model, revision: provenance.revision, plugin: provenance.plugin,
      parameters: provenance.parameters.map { ($0.key, $0.value.json) }, dataset: provenance.dataset,
      group: set.defaultGroup.rawValue, bytes: set.bytes)
  }
}

extension DatasetFacts {
  init(_ name: String, _ loaded: LoadedDataset) {
    let dataset = loaded.dataset
    self.init(
      dataset: name, sequences: dataset.sequences, sequenceLength: dataset.sequenceLength,
      tokens: dataset.tokens.count, digest: dataset.digest, source: loaded.source, documents: loaded.documents)
  }
}

extension TensorSparsity {
  init(_ name: String, _ tensor: StoredTensor) {
    self.init(
      tensor: name, sparsity: tensor.sparsity, pruned: tensor.prunedCount,
      kept: tensor.elementCount - tensor.prunedCount)
  }
}

extension PrunedFacts {
  /// - Parameter names: the tensors that were masked.
  init(model: String, _ revision: Revision, tensors names: some Sequence<String>) {
    let tensors = names.compactMap { name in revision.tensors[name].map { (name, $0) } }
    let pruned = tensors.reduce(0) { $0 + $1.1.prunedCount }, all = tensors.reduce(0) { $0 + $1.1.elementCount }
    self.init(
      model: model, revision: revision.id, parent: revision.parent,
      sparsity: all == 0 ? 0 : Double(pruned) / Double(all), modelSparsity: revision.sparsity,
      perTensor: tensors.map(TensorSparsity.init))
  }
}

extension Revision {
  /// The fraction of all parameters that masks prune.
  var sparsity: Double { Double(prunedCount) / Double(max(1, parameterCount)) }

  /// The next revision's tensors, with these masks in place of the old ones.
  func replacing(_ masks: OrderedDictionary<String, MaskBits>) -> OrderedDictionary<String, StoredTensor> {
    replacing(masks: Dictionary(uniqueKeysWithValues: masks.map { ($0.key, MaskBlob($0.value)) }))
  }
}
