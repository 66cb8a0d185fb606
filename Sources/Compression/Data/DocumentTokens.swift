// Lines of a file as documents of tokens, and as prompts to sample from.

package import Checkpoints
package import Tensors
package import Workspace

/// How texts become tokens.
package struct DocumentOptions: Sendable, Equatable {
  /// Whether completions end with the first of the model's end tokens.
  package var endOfText = true
  /// Whether documents begin with what the tokenizer puts before a sequence.
  package var addSpecialTokens = false

  package init(endOfText: Bool = true, addSpecialTokens: Bool = false) {
    self.endOfText = endOfText
    self.addSpecialTokens = addSpecialTokens
  }
}

extension TextLines {
  /// The documents of the lines, in order, and an example for each line with a prompt.
  ///
  /// Prompt and completion are encoded each by itself: the boundary is exact, the prompt has the tokens that it has
  /// when it is sampled from, and the tokens of both decode to both (`Tokenizer.encode(isContinuation:)`). An empty
  /// prompt stands for the token that begins a text. Tokens that come with the lines are used if they are of this
  /// tokenizer.
  /// - Throws: `CheckpointError` of the tokenizer, `DataError`, `Cancelled`.
  package func documents(
    _ tokenizer: Tokenizer, options: DocumentOptions = DocumentOptions(), monitor: Monitor = Monitor()
  ) throws -> (documents: [Document], examples: [Example]) {
    let usesTokens = tokenizerDigest.map { $0 == Compression.tokenizerDigest(tokenizer) } ?? false
    var documents: [Document] = [], examples: [Example] = []
    documents.reserveCapacity(lines.count)
    for (number, line) in lines.enumerated() {
      try monitor.checkCancelled()
      if number % 256 == 0 { monitor.report(Double(number) / Double(lines.count), "line \(number + 1)") }
      switch line.content {
      case .text(let text):
        documents.append(
          Document(
            tokens: try tokenizer.encode(text, addSpecialTokens: options.addSpecialTokens, monitor: monitor)))
      case .prompt(let text, let completion):
        let given = usesTokens ? line.promptTokens : nil
        let prompt = try given ?? tokenizer.promptTokens(text, options, monitor)
        var tokens = prompt
        if let known = line.completionTokens, usesTokens {
          tokens += known
        } else if let completion {
          tokens += try tokenizer.completionTokens(completion, isFinished: line.isFinished, options, monitor)
        }
        documents.append(Document(tokens: tokens, promptTokens: prompt.count))
        examples.append(Example(prompt: text, promptTokens: prompt, answer: line.answer))
      }
    }
    return (documents, examples)
  }
}

extension Tokenizer {
  /// The tokens of a prompt that completions are sampled from; at least one.
  /// - Throws: `DataError.beginTokenMissing` for an empty prompt without a token for it; as `encode`.
  package func promptTokens(_ text: String, _ options: DocumentOptions, _ monitor: Monitor) throws -> [Int32] {
    let tokens = (options.addSpecialTokens ? prefixTokens : []) + (try encode(text, monitor: monitor))
    if !tokens.isEmpty { return tokens }
    guard let beginToken else { throw DataError.beginTokenMissing }
    return [beginToken]
  }

  fileprivate func completionTokens(
    _ text: String, isFinished: Bool, _ options: DocumentOptions, _ monitor: Monitor
  ) throws -> [Int32] {
    var tokens = try encode(text, isContinuation: true, monitor: monitor)
    if options.endOfText, isFinished, !(tokens.last.map(endTokens.contains) ?? false) {
      guard let end = endTokens.first else { throw DataError.endTokenMissing }
      tokens.append(end)
    }
    return tokens
  }
}
