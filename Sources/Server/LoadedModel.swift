// A resident model: its checkpoint, its arithmetic, and the history of its revisions.

import BuiltinModels
import Checkpoints
import Compression
import JSON
import OrderedCollections
import Tensors
import Transformers
import WireTypes
import Workspace

final class LoadedModel: Sendable {
  let name: String
  let source: String
  let checkpoint: Checkpoint
  let transformer: Transformer
  let history: History
  /// The model and the revision that this one was made out of by prune/shrink; nil for one that was loaded.
  let shrunkFrom: (model: String, revision: String)?

  /// Opens and checks the checkpoint; its weights stay on disk, mapped.
  /// - Throws: `CheckpointError`, `TransformerError`, `ServerError`.
  init(source: String, name: String) throws {
    self.name = name
    self.source = source
    checkpoint = try Checkpoint.open(path: try resolveModelSource(source))
    let loaded = try loadTransformer(checkpoint)
    transformer = loaded.transformer
    let tensors = loaded.tensors.mapValues { StoredTensor(weights: WeightsBlob($0)) }
    history = History(
      tensors: tensors, operation: Operation(method: ModelLoad.name, summary: "loaded from \(source)"))
    shrunkFrom = nil
  }

  /// What shrinking has left of `model` at `revision`.
  /// - Parameters:
  ///   - details: how, for its history.
  ///   - calibration: digests of the data behind what was cut.
  init(
    _ shrunk: ShrunkModel, of model: LoadedModel, revision: Revision, name: String,
    details: OrderedDictionary<String, String>, calibration: Set<String>
  ) {
    self.name = name
    source = model.source
    checkpoint = model.checkpoint.deriving(
      configuration: shrunk.configuration, tensors: shrunk.tensors.mapValues(\.weights.view))
    transformer = shrunk.transformer
    var all: OrderedDictionary = ["shrunkFrom.model": model.name, "shrunkFrom.revision": revision.id]
    all.merge(details) { first, _ in first }
    // In the order of the checkpoint, as after loading.
    let tensors = OrderedDictionary(
      uniqueKeysWithValues: checkpoint.tensors.keys.compactMap { name in shrunk.tensors[name].map { (name, $0) } })
    history = History(
      tensors: tensors,
      operation: Operation(
        method: PruneShrink.name, summary: "shrunk from \(model.name) at \(revision.id)", details: all,
        calibration: calibration))
    shrunkFrom = (model.name, revision.id)
  }

  /// The model at a revision; nil is the current one.
  /// - Throws: `WorkspaceError.revisionNotFound`; `CheckpointError` if weights were lost.
  func state(_ revision: String?) throws -> ModelState {
    try checkpoint.requireIntact()
    return ModelState(transformer: transformer, revision: try history.revision(revision))
  }

  var weightsBytes: Int { checkpoint.tensors.values.reduce(0) { $0 + $1.byteCount } }

  /// Bytes of all masks of all revisions, each shared mask once.
  var maskBytes: Int {
    var seen: Set<BlobID> = []
    var bytes = 0
    for tensor in history.log.revisions.flatMap(\.tensors.values) {
      guard let mask = tensor.mask, seen.insert(mask.id).inserted else { continue }
      bytes += mask.bits.bytes.count
    }
    return bytes
  }

  var facts: ModelFacts {
    let shape = transformer.shape
    return ModelFacts(
      model: name, source: source, format: checkpoint.format.rawValue,
      architecture: architectureName(of: checkpoint.configuration),
      parameters: history.current.parameterCount, bytes: weightsBytes, layers: shape.layers,
      hiddenSize: shape.hiddenSize, vocabularySize: shape.vocabularySize, maximumLength: shape.maximumLength)
  }

  /// How wide each layer is.
  var layerWidths: [StructureFacts.Layer] {
    transformer.widths.layers.enumerated().map { layer, widths in
      StructureFacts.Layer(
        layer: layer, heads: widths.heads, keyValueHeads: widths.keyValueHeads, neurons: widths.neurons)
    }
  }

  /// The widths, and where the layers come from.
  var structure: StructureFacts {
    StructureFacts(
      layers: layerWidths,
      originalLayers: originalLayers(of: checkpoint.configuration) ?? Array(0..<transformer.shape.layers),
      shrunkFrom: shrunkFrom)
  }

  /// Where the history stands.
  var place: PlaceFacts {
    let log = history.log
    return PlaceFacts(
      model: name, revision: log.current, branch: log.branch, canUndo: log.canUndo, canRedo: log.canRedo)
  }
}

/// A dataset and where its text came from.
struct LoadedDataset: Sendable {
  let dataset: Dataset
  let source: String
  /// Whose tokens they are.
  let tokenizer: Tokenizer
  /// Nil for one text.
  var documents: DocumentFacts?
}

private let builtinPrefix = "builtin:"

/// The path of a model's source, `builtin:` names resolved.
private func resolveModelSource(_ source: String) throws(ServerError) -> String {
  guard source.hasPrefix(builtinPrefix) else { return source }
  let name = String(source.dropFirst(builtinPrefix.count))
  guard let path = BuiltinModels.path(ofModel: name) else {
    throw .builtinNotFound(name: source, builtins: BuiltinModels.models.map { builtinPrefix + $0 })
  }
  return path
}

/// The path of a text, `builtin:` names resolved.
func resolveText(_ path: String) throws(ServerError) -> String {
  guard path.hasPrefix(builtinPrefix) else { return path }
  guard let resolved = BuiltinModels.path(ofText: String(path.dropFirst(builtinPrefix.count))) else {
    throw .builtinNotFound(name: path, builtins: BuiltinModels.texts.map { builtinPrefix + $0 } + [TaskParam.source])
  }
  return resolved
}

/// The name of a model whose client gave none: the last part of its source, without `.gguf`.
func defaultModelName(_ source: String) -> String {
  let last = source.split(whereSeparator: { $0 == "/" || $0 == ":" }).last.map(String.init) ?? source
  return last.hasSuffix(".gguf") ? String(last.dropLast(5)) : last
}
