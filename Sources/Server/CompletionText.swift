// The text of a prompt's continuation while it grows, and how it reaches a client that watches.

import Checkpoints
import JSON
import JSONRPC
import Transformers
import WireTypes

/// What was generated for one prompt so far.
struct CompletionText {
  let promptTokens: Int
  private(set) var tokens: [Int32] = []
  /// The text of `tokens`, without special tokens and the token that ended it; an incomplete character is held back
  /// until it is complete or nothing follows.
  private(set) var text = ""
  private(set) var logProbabilities: [TokenLogProbability] = []
  private(set) var finish: FinishReason?
  /// When the first and the last token came.
  private(set) var firstTime: Double?
  private var lastTime = 0.0
  private let tokenizer: Tokenizer
  private var decoder: StreamingDecoder
  /// What the client was not told yet.
  private var newText = ""
  private var newTokens: [Int32] = []

  init(tokenizer: Tokenizer, promptTokens: Int) {
    self.tokenizer = tokenizer
    self.promptTokens = promptTokens
    decoder = StreamingDecoder(tokenizer, skipSpecialTokens: true)
  }

  mutating func append(_ token: GeneratedToken) throws {
    lastTime = monotonicSeconds()
    if firstTime == nil { firstTime = lastTime }
    tokens.append(token.token)
    newTokens.append(token.token)
    if let logProbability = token.logProbability { logProbabilities.append(logProbability) }
    finish = token.finish
    // Some models have more ids than their tokenizer; those stand for no text.
    if finish != .endToken, tokenizer.token(token.token) != nil { put(try decoder.append(token.token)) }
    if finish != nil { put(decoder.finish()) }
  }

  private mutating func put(_ more: String) {
    text += more
    newText += more
  }

  /// Whether there is something to tell: text, or the last tokens.
  var hasNews: Bool { !newText.isEmpty || (finish != nil && !newTokens.isEmpty) }

  /// What the client was not told yet.
  var news: (text: String, tokens: [Int]) { (newText, newTokens.map(Int.init)) }

  mutating func forgetNews() {
    newText = ""
    newTokens = []
  }

  /// Tokens per second of decoding: the first one comes from reading the prompt. 0 for a single token.
  func tokensPerSecond(since start: Double) -> Double { Self.rate(tokens.count - 1, lastTime - start) }

  /// The same of all together.
  static func tokensPerSecond(_ completions: [CompletionText]) -> Double {
    let start = completions.compactMap(\.firstTime).max() ?? 0
    let end = completions.map(\.lastTime).max() ?? 0
    return rate(completions.reduce(0) { $0 + $1.tokens.count - 1 }, end - start)
  }

  private static func rate(_ tokens: Int, _ seconds: Double) -> Double {
    tokens > 0 && seconds > 0 ? Double(tokens) / seconds : 0
  }
}

/// Sends text as it comes, at most twenty notifications a second, of several prompts in turns. A client that does not
/// read is not waited for: it is told later.
struct CompletionStream {
  private static let interval = 0.05

  private let token: JSON
  private let outbox: Outbox
  private var lastTime = 0.0
  private var nextIndex = 0

  init(token: JSON, outbox: Outbox) {
    self.token = token
    self.outbox = outbox
  }

  /// Tells the news of one prompt if it is time.
  mutating func tell(_ completions: inout [CompletionText]) throws {
    let now = monotonicSeconds()
    guard now - lastTime >= Self.interval else { return }
    let order = completions.indices.map { ($0 + nextIndex) % completions.count }
    guard let index = order.first(where: { completions[$0].hasNews }) else { return }
    guard try outbox.sendNow(message(completions[index], index)) else { return }
    completions[index].forgetNews()
    lastTime = now
    nextIndex = index + 1
  }

  /// Tells what is left, before the answer: without a limit, for each prompt once.
  func tellTheRest(_ completions: inout [CompletionText]) throws {
    for index in completions.indices where completions[index].hasNews {
      try outbox.send(message(completions[index], index))
      completions[index].forgetNews()
    }
  }

  private func message(_ completion: CompletionText, _ index: Int) -> JSON {
    let (text, tokens) = completion.news
    let params = ModelGenerate.partialResult(token: token, text: text, tokens: tokens, index: index)
    return Notification(method: Progress.name, params: params).json
  }
}
