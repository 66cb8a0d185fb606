// dataset/generate: a model writes documents.

import Checkpoints
import Compression
import JSON
import JSONRPC
import Tensors
import Transformers
import WireTypes
import Workspace

let datasetGenerationRoutes = [
  Route(
    DatasetGenerate.self, model: \.model,
    access: { params in
      var access = Access.reading(.model(params.model))
      if case .dataset(let name, _) = params.prompts { access.reads.insert(.dataset(name)) }
      if let name = params.name { access.writes.insert(.dataset(name)) }
      return access
    }, prepare: generate)
]

private func generate(_ params: DatasetGenerate.Params, _ context: ServerContext) throws -> Plan {
  let model = try context.model(params.model)
  let state = try model.state(params.revision)
  var source: LoadedDataset?
  if case .dataset(let name, _) = params.prompts {
    _ = try context.dataset(name)
    source = context.datasets.value(name)
  }
  if let name = params.name, context.datasets.value(name) != nil { throw ServerError.datasetExists(name: name) }
  let compute = try context.compute()
  let tokenizer = model.checkpoint.tokenizer
  let options = GenerationOptions(
    maximumTokens: params.maxTokens,
    sampling: SamplingOptions(temperature: params.temperature, topK: params.topK, topP: params.topP),
    seed: UInt64(params.seed), endTokens: tokenizer.endTokens)
  return .work(.compute) { [source] monitor in
    let start = monotonicSeconds()
    let prompts = try prompts(params, source, tokenizer, monitor)
    try model.transformer.checkPrompts(prompts.map(\.promptTokens))
    let file = try params.path.map { path in
      let head = GenerationHead(
        model: try state.digest(monitor: monitor), tokenizer: tokenizerDigest(tokenizer), options: options)
      return try GenerationFile(path: path, head: head, prompts: prompts)
    }
    let begin = monotonicSeconds()
    let data: GeneratedData
    do {
      data = try generateDocuments(
        state, tokenizer: tokenizer, prompts: prompts, options: options, batch: params.batch, file: file,
        compute: compute, monitor: monitor)
    } catch is Cancelled {
      throw ResponseError(
        .requestCancelled, kind: "cancelled",
        file == nil
          ? "The request was cancelled. Nothing was kept: with a `path` what is done would be."
          : "The request was cancelled. What was done is in the file: the same request goes on from there.")
    }
    try model.checkpoint.requireIntact()
    let generating = monotonicSeconds() - begin
    let longest = prompts.map { $0.promptTokens.count }.max() ?? 1
    let loaded = try LoadedDataset(
      documents: data.documents, examples: data.examples,
      sequenceLength: params.sequenceLength ?? min(model.transformer.shape.maximumLength, longest + params.maxTokens),
      packing: Packing(rawValue: params.packing) ?? .none, vocabularySize: model.transformer.shape.vocabularySize,
      source: params.path ?? "generated", tokenizer: tokenizer)
    guard let name = context.datasets.add(loaded, name: params.name) else {
      throw ServerError.datasetExists(name: params.name ?? "")
    }
    return DatasetGenerate.result(
      DatasetFacts(name, loaded), model: params.model, revision: state.revision.id, path: params.path,
      resumed: data.resumed, generatedTokens: data.generatedTokens,
      tokensPerSecond: generating > 0 ? Double(data.generatedTokens) / generating : 0,
      seconds: monotonicSeconds() - start)
  }
}

/// What is written on from.
/// - Throws: `DataError`, `CheckpointError` of the tokenizer, `Cancelled`.
private func prompts(
  _ params: DatasetGenerate.Params, _ source: LoadedDataset?, _ tokenizer: Tokenizer, _ monitor: Monitor
) throws -> [Example] {
  let options = DocumentOptions(addSpecialTokens: params.addSpecialTokens)
  switch params.prompts {
  case .texts(let texts):
    return try texts.map { text in
      Example(prompt: text, promptTokens: try tokenizer.promptTokens(text, options, monitor))
    }
  case .begin(let count):
    guard let begin = tokenizer.beginToken else { throw DataError.beginTokenMissing }
    return Array(repeating: Example(prompt: "", promptTokens: [begin]), count: count)
  case .dataset(let name, let promptTokens):
    guard let source else { return [] }
    let prompts = try source.prompts(name, tokens: promptTokens, monitor)
    if source.tokenizer === tokenizer || tokenizerDigest(source.tokenizer) == tokenizerDigest(tokenizer) {
      return prompts
    }
    // Tokens of another tokenizer mean nothing here: the texts do.
    return try prompts.map { prompt in
      Example(
        prompt: prompt.prompt, promptTokens: try tokenizer.promptTokens(prompt.prompt, options, monitor),
        answer: prompt.answer)
    }
  }
}

extension LoadedDataset {
  /// Its examples; of a text the first tokens of each sequence.
  /// - Parameter name: what it is called, for errors.
  fileprivate func prompts(_ name: String, tokens count: Int, _ monitor: Monitor) throws -> [Example] {
    if !dataset.examples.isEmpty { return dataset.examples }
    guard dataset.isUniform else {
      throw DataError.promptsMissing(reason: "the documents of \"\(name)\" are texts without prompts")
    }
    guard count <= dataset.sequenceLength else {
      throw DataError.promptsMissing(
        reason: "the sequences of \"\(name)\" have \(dataset.sequenceLength) tokens, fewer than `promptTokens` "
          + "\(count)")
    }
    return try (0..<dataset.sequences).map { number in
      try monitor.checkCancelled()
      let tokens = Array(dataset.tokens(ofSequence: number).prefix(count))
      let known = tokens.filter { tokenizer.token($0) != nil }
      return Example(prompt: try tokenizer.decode(known, skipSpecialTokens: true), promptTokens: tokens)
    }
  }
}
