// Documents that a model writes: batches of completions, each with random numbers of its own, so that neither the size
// of batches nor an interruption changes a text.

package import Checkpoints
package import Tensors
package import Transformers
package import Workspace

/// What was generated, and how fast.
package struct GeneratedData: Sendable {
  package var documents: [Document] = []
  package var examples: [Example] = []
  /// Documents that were in the file before.
  package var resumed = 0
  /// Tokens that were generated now.
  package var generatedTokens = 0
}

/// Generates a completion for each of `prompts`: number i draws from stream i of the seed.
/// - Parameters:
///   - prompts: each of at least one token.
///   - options: `firstStream` is set here.
///   - batch: completions that are decoded together; at least 1.
///   - file: where each goes as soon as those before it are there; what it has already is not generated again.
/// - Throws: as `Transformer.generate`, `CompressionError.memoryInsufficient`, `CheckpointError`; what is in the file
///   stays there.
package func generateDocuments(
  _ state: ModelState, tokenizer: Tokenizer, prompts: [Example], options: GenerationOptions, batch: Int,
  file: GenerationFile?, compute: Compute, monitor: Monitor
) throws -> GeneratedData {
  var data = GeneratedData()
  for (line, example) in zip(file?.found ?? [], prompts) {
    let tokens = example.promptTokens + (line.completionTokens ?? [])
    data.documents.append(Document(tokens: tokens, promptTokens: example.promptTokens.count))
    data.examples.append(example)
  }
  data.resumed = data.documents.count
  for first in stride(from: data.resumed, to: prompts.count, by: batch) {
    let range = first..<min(prompts.count, first + batch), own = Array(prompts[range])
    let part = monitor.part(
      Double(range.lowerBound) / Double(prompts.count)...Double(range.upperBound) / Double(prompts.count))
    var options = options
    options.firstStream = UInt64(first)
    try requireMemory(
      state.transformer.generationBytes(own.map(\.promptTokens), options, compute: compute),
      for: "Keeping the keys and values of \(own.count) texts")
    var growing = own.map { _ in [Int32]() }, finished: [Int: GeneratedDocument] = [:], next = 0
    try state.transformer.generate(
      own.map(\.promptTokens), weights: state.revision, options: options, compute: compute, monitor: part
    ) { token in
      growing[token.prompt].append(token.token)
      data.generatedTokens += 1
      guard let finish = token.finish else { return }
      let tokens = growing[token.prompt], example = own[token.prompt]
      let text = try completionText(tokens, of: example, finish: finish, tokenizer)
      finished[token.prompt] = GeneratedDocument(
        example: example, completion: text, completionTokens: tokens, finish: finish)
      while let document = finished.removeValue(forKey: next) {
        try file?.append(document)
        data.documents.append(document.document)
        data.examples.append(document.example)
        next += 1
      }
    }
    try file?.synchronise()
  }
  return data
}

/// The text of a completion as it follows its prompt, without special tokens and the token that ended it.
private func completionText(
  _ tokens: [Int32], of example: Example, finish: FinishReason, _ tokenizer: Tokenizer
) throws(CheckpointError) -> String {
  var decoder = StreamingDecoder(tokenizer, skipSpecialTokens: true)
  // Some models have more ids than their tokenizer; those stand for no text.
  for token in example.promptTokens where tokenizer.token(token) != nil { _ = try decoder.append(token) }
  var text = ""
  for token in finish == .endToken ? tokens.dropLast() : tokens[...] where tokenizer.token(token) != nil {
    text += try decoder.append(token)
  }
  return text + decoder.finish()
}
