// model/generate: a model writes on, and the client may watch.

import Checkpoints
import Compression
import JSON
import JSONRPC
import Tensors
import Transformers
import WireTypes
import Workspace

let generationRoutes = [
  Route(ModelGenerate.self, model: \.model, access: { .reading(.model($0.model)) }, prepare: generate)
]

private func generate(_ params: ModelGenerate.Params, _ context: ServerContext) throws -> Plan {
  let model = try context.model(params.model)
  let state = try model.state(params.revision)
  let compute = try context.compute()
  let tokenizer = model.checkpoint.tokenizer
  let options = GenerationOptions(
    maximumTokens: params.maxTokens,
    sampling: SamplingOptions(temperature: params.temperature, topK: params.topK, topP: params.topP),
    seed: UInt64(params.seed), endTokens: params.ignoreEndTokens ? [] : tokenizer.endTokens,
    wantsLogProbabilities: params.logProbabilities)
  return .work(.compute) { monitor in
    let start = monotonicSeconds()
    let prompts = try params.prompt.tokens(tokenizer, addSpecialTokens: params.addSpecialTokens, monitor: monitor)
    try model.transformer.checkPrompts(prompts)
    try requireMemory(
      model.transformer.generationBytes(prompts, options, compute: compute),
      for: "Keeping the keys and values of prompts and text")
    var completions = prompts.map { CompletionText(tokenizer: tokenizer, promptTokens: $0.count) }
    var stream = params.partialResultToken.map { CompletionStream(token: $0, outbox: context.outbox) }
    do {
      try model.transformer.generate(
        prompts, weights: state.revision, options: options, compute: compute, monitor: monitor
      ) { token in
        try completions[token.prompt].append(token)
        try stream?.tell(&completions)
      }
    } catch is Cancelled {
      throw ResponseError(
        .requestCancelled, kind: "cancelled", "The request was cancelled. Nothing was changed.",
        facts: ["completions": ModelGenerate.list(wireCompletions(completions, params))])
    }
    try model.checkpoint.requireIntact()
    try stream?.tellTheRest(&completions)
    let wire = wireCompletions(completions, params), seconds = monotonicSeconds() - start
    if case .texts = params.prompt {
      return ModelGenerate.result(
        model: params.model, revision: state.revision.id, wire,
        tokensPerSecond: CompletionText.tokensPerSecond(completions), seconds: seconds)
    }
    return ModelGenerate.result(model: params.model, revision: state.revision.id, wire[0], seconds: seconds)
  }
}

extension ModelGenerate.Prompt {
  /// The tokens of each prompt.
  fileprivate func tokens(_ tokenizer: Tokenizer, addSpecialTokens: Bool, monitor: Monitor) throws -> [[Int32]] {
    switch self {
    case .tokens(let tokens): return [tokens.map(Int32.init)]
    case .text(let text): return [try tokenizer.encode(text, addSpecialTokens: addSpecialTokens, monitor: monitor)]
    case .texts(let texts):
      return try texts.map { try tokenizer.encode($0, addSpecialTokens: addSpecialTokens, monitor: monitor) }
    }
  }
}

private func wireCompletions(
  _ completions: [CompletionText], _ params: ModelGenerate.Params
) -> [ModelGenerate.Completion] {
  // Decoding begins when all prompts are read, which is when the last of them gets its first token.
  let start = completions.compactMap(\.firstTime).max() ?? 0
  return completions.map { completion in
    ModelGenerate.Completion(
      text: completion.text, tokens: completion.tokens.map(Int.init), finishReason: completion.finish?.rawValue,
      promptTokens: completion.promptTokens, tokensPerSecond: completion.tokensPerSecond(since: start),
      logProbabilities: params.logProbabilities ? completion.logProbabilities.map(\.model) : nil,
      samplingLogProbabilities: params.logProbabilities ? completion.logProbabilities.map(\.sampling) : nil)
  }
}
