// dataset/load, list, unload: texts as token sequences.

import Checkpoints
import Compression
import JSON
import Tensors
import Transformers
import WireTypes
import Workspace

let datasetRoutes = [
  Route(
    DatasetLoad.self, model: { $0.model },
    access: { params in
      params.name.map { .writing(.dataset($0), reading: .model(params.model)) } ?? .reading(.model(params.model))
    }, prepare: load),
  Route(DatasetList.self) { _, context in
    .answer(DatasetList.result(context.datasets.all.map(DatasetFacts.init)))
  },
  Route(DatasetUnload.self, access: { .writing(.dataset($0.dataset)) }) { params, context in
    _ = try context.dataset(params.dataset)
    context.datasets.remove(params.dataset)
    return .answer(DatasetUnload.result(dataset: params.dataset))
  },
]

private func load(_ params: DatasetLoad.Params, _ context: ServerContext) throws -> Plan {
  let model = try context.model(params.model)
  if let name = params.name, context.datasets.value(name) != nil { throw ServerError.datasetExists(name: name) }
  return .work(.files) { monitor in
    let start = monotonicSeconds()
    let (tokens, source) = try tokens(
      of: params.source, tokenizer: model.checkpoint.tokenizer, addSpecialTokens: params.addSpecialTokens,
      monitor: monitor)
    try monitor.checkCancelled()
    let dataset = try Dataset(
      text: tokens, sequenceLength: params.sequenceLength, sequences: params.sequences,
      sampling: params.random ? .random(seed: UInt64(params.seed)) : .contiguous,
      vocabularySize: model.transformer.shape.vocabularySize)
    let loaded = LoadedDataset(dataset: dataset, source: source)
    guard let name = context.datasets.add(loaded, name: params.name) else {
      throw ServerError.datasetExists(name: params.name ?? "")
    }
    return DatasetLoad.result(
      DatasetFacts(name, loaded), textTokens: tokens.count, seconds: monotonicSeconds() - start)
  }
}

/// The tokens of a whole text, and a word for where it came from.
private func tokens(
  of source: DatasetLoad.Source, tokenizer: Tokenizer, addSpecialTokens: Bool, monitor: Monitor
) throws -> (tokens: [Int32], source: String) {
  switch source {
  case .tokens(let tokens): return (tokens.map(Int32.init), "tokens")
  case .text(let text):
    return (try tokenizer.encode(text, addSpecialTokens: addSpecialTokens, monitor: monitor), "text")
  case .path(let path):
    let file = try MappedFile(path: try resolveText(path))
    guard let text = String(validating: file.bytes, as: UTF8.self) else {
      throw ServerError.textUnreadable(path: path, reason: "it is not valid UTF-8")
    }
    return (try tokenizer.encode(text, addSpecialTokens: addSpecialTokens, monitor: monitor), path)
  }
}
