// dataset/load, list, unload: texts and documents as token sequences.

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
    let (loaded, textTokens) = try loadedDataset(params, model, monitor)
    guard let name = context.datasets.add(loaded, name: params.name) else {
      throw ServerError.datasetExists(name: params.name ?? "")
    }
    return DatasetLoad.result(
      DatasetFacts(name, loaded), textTokens: textTokens, seconds: monotonicSeconds() - start)
  }
}

/// The dataset, and how many tokens the whole text or all documents have.
private func loadedDataset(
  _ params: DatasetLoad.Params, _ model: LoadedModel, _ monitor: Monitor
) throws -> (LoadedDataset, textTokens: Int) {
  let tokenizer = model.checkpoint.tokenizer, vocabulary = model.transformer.shape.vocabularySize
  switch params.format {
  case .text(let random, let seed):
    let (tokens, source) = try tokens(
      of: params.source, tokenizer: tokenizer, addSpecialTokens: params.addSpecialTokens, monitor: monitor)
    try monitor.checkCancelled()
    let dataset = try Dataset(
      text: tokens, sequenceLength: params.sequenceLength, sequences: params.sequences,
      sampling: random ? .random(seed: UInt64(seed)) : .contiguous, vocabularySize: vocabulary)
    return (LoadedDataset(dataset: dataset, source: source, tokenizer: tokenizer), tokens.count)
  case .jsonl(let packing, let endOfText):
    let (lines, source) = try params.task.map { (try TextLines($0), TaskParam.source) }
      ?? lines(of: params.source, monitor: monitor)
    let (documents, examples) = try lines.documents(
      tokenizer, options: DocumentOptions(endOfText: endOfText, addSpecialTokens: params.addSpecialTokens),
      monitor: monitor)
    let loaded = try LoadedDataset(
      documents: documents, examples: examples, sequenceLength: params.sequenceLength,
      packing: Packing(rawValue: packing) ?? .none, sequences: params.sequences, vocabularySize: vocabulary,
      source: source, tokenizer: tokenizer)
    return (loaded, documents.reduce(0) { $0 + $1.tokens.count })
  }
}

extension LoadedDataset {
  /// Documents in windows, with what became of them.
  /// - Throws: `WorkspaceError`.
  init(
    documents: [Document], examples: [Example], sequenceLength: Int, packing: Packing, sequences: Int? = nil,
    vocabularySize: Int, source: String, tokenizer: Tokenizer
  ) throws(WorkspaceError) {
    let packed = PackedDocuments(documents, sequenceLength: sequenceLength, packing: packing)
    dataset = try Dataset(
      documents: packed, sequences: sequences, examples: examples, vocabularySize: vocabularySize)
    self.source = source
    self.tokenizer = tokenizer
    self.documents = DocumentFacts(
      packing: packing.rawValue, segments: packed.windows.prefix(dataset.sequences).reduce(0) { $0 + $1.count },
      validTokens: dataset.validTokens, examples: examples.count, cut: packed.cutDocuments, tooLong: packed.tooLong,
      tooShort: packed.tooShort)
  }
}

/// The documents of a source, and a word for where they came from.
private func lines(of source: DatasetLoad.Source, monitor: Monitor) throws -> (TextLines, source: String) {
  switch source {
  case .tokens: preconditionFailure("tokens are no documents, which the parameters say")
  case .text(let text):
    let lines = try Array(text.utf8).withUnsafeBytes {
      try TextLines($0, source: "`text`", cancellation: monitor.checkCancelled)
    }
    return (lines, "text")
  case .path(let path):
    let file = try MappedFile(path: try resolveText(path), limit: longestDocuments)
    return (try TextLines(file.bytes, source: path, cancellation: monitor.checkCancelled), path)
  }
}

extension TextLines {
  /// The examples of a built-in task: the answer is what follows the prompt.
  /// - Throws: `PolicyError.tasksExhausted`.
  fileprivate init(_ param: TaskParam) throws {
    let task = try ArithmeticTask(
      digits: param.digits, operations: param.operations.compactMap(ArithmeticTask.Operation.init))
    let lines = try task.examples(count: param.count, seed: UInt64(param.seed)).map { example in
      "{\"prompt\": \"\(example.prompt)\", \"completion\": \"\(example.answer)\", "
        + "\"answer\": \"\(example.answer)\"}\n"
    }
    self = try Array(lines.joined().utf8).withUnsafeBytes { try TextLines($0, source: TaskParam.source) }
  }
}

/// Bytes of a file of documents, all of which is held in memory.
private let longestDocuments = 1 << 30

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
