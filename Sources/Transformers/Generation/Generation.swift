// Writing on: prompts in, tokens out, until a token ends them or there is no more room.

package import Tensors

/// What is generated, and until when.
package struct GenerationOptions: Sendable, Equatable {
  /// Tokens to add to each prompt at most; at least 1.
  package var maximumTokens: Int
  package var sampling: SamplingOptions
  /// Prompt number i draws from stream `firstStream` + i of this seed.
  package var seed: UInt64
  package var firstStream: UInt64 = 0
  /// Tokens that end a text. The token that does is part of the result.
  package var endTokens: [Int32]
  package var wantsLogProbabilities: Bool

  package init(
    maximumTokens: Int, sampling: SamplingOptions = SamplingOptions(), seed: UInt64 = 0, endTokens: [Int32] = [],
    wantsLogProbabilities: Bool = false
  ) {
    precondition(maximumTokens >= 1)
    self.maximumTokens = maximumTokens
    self.sampling = sampling
    self.seed = seed
    self.endTokens = endTokens
    self.wantsLogProbabilities = wantsLogProbabilities
  }
}

/// Why a text is not continued.
package enum FinishReason: String, Sendable {
  /// The model said so.
  case endToken
  /// As many tokens were added as were asked for.
  case maxTokens
  /// Prompt and added tokens are as long as the model's longest sequence.
  case maximumLength
}

/// A token that was just added.
package struct GeneratedToken: Sendable, Equatable {
  /// The number of the prompt that it continues.
  package let prompt: Int
  package let token: Int32
  /// If they were asked for.
  package let logProbability: TokenLogProbability?
  /// Not nil for the last one.
  package let finish: FinishReason?

  package init(prompt: Int, token: Int32, logProbability: TokenLogProbability? = nil, finish: FinishReason? = nil) {
    self.prompt = prompt
    self.token = token
    self.logProbability = logProbability
    self.finish = finish
  }
}

extension Transformer {
  /// Tokens that are fed to the model for a prompt: all but the last that may be generated.
  private func capacity(_ prompt: [Int32], _ options: GenerationOptions) -> Int {
    min(shape.maximumLength, prompt.count + options.maximumTokens) - 1
  }

  /// Checks that each of `prompts` can be continued.
  /// - Throws: `GenerationError.promptEmpty`, `promptTooLong`; `TransformerError.tokenOutOfRange`.
  package func checkPrompts(_ prompts: [[Int32]]) throws {
    for (index, prompt) in prompts.enumerated() {
      guard !prompt.isEmpty else { throw GenerationError.promptEmpty(index: index) }
      guard prompt.count < shape.maximumLength else {
        throw GenerationError.promptTooLong(index: index, tokens: prompt.count, maximum: shape.maximumLength)
      }
      try checkTokens(prompt, length: prompt.count)
    }
  }

  /// Bytes that `generate` takes at the most.
  package func generationBytes(_ prompts: [[Int32]], _ options: GenerationOptions, compute: Compute) -> Int {
    DecodingPass.bytes(self, capacities: prompts.map { capacity($0, options) }, compute: compute)
  }

  /// Continues `prompts`: each is fed by itself, then all are decoded together, a token of each at a time.
  ///
  /// The tokens of a prompt depend on nothing but it, its number (which names its stream of random numbers) and
  /// `options`: not on the other prompts, nor on the number of threads.
  /// - Parameters:
  ///   - monitor: asked for cancellation all along; hears how many tokens are done.
  ///   - onToken: called for every token as it is chosen, before the next are computed.
  /// - Throws: as `checkPrompts`; `GenerationError.nonFiniteLogits`, `Cancelled`, and what `onToken` throws.
  package func generate(
    _ prompts: [[Int32]], weights: any WeightSource, options: GenerationOptions, compute: Compute, monitor: Monitor,
    onToken: (GeneratedToken) throws -> Void
  ) throws {
    try checkPrompts(prompts)
    guard !prompts.isEmpty else { return }
    let pass = DecodingPass(
      self, weights: weights, capacities: prompts.map { capacity($0, options) }, compute: compute)
    let sampler = Sampler(options.sampling, vocabularySize: shape.vocabularySize)
    var streams = prompts.indices.map { RandomStream(seed: options.seed, stream: options.firstStream &+ UInt64($0)) }
    var added = prompts.map { _ in 0 }
    var last = prompts.map { _ in Int32(0) }
    var work = Work(prompts, options, monitor)

    /// Chooses the next token of a prompt; true if more are wanted.
    func choose(_ prompt: Int, _ logits: UnsafePointer<Float>) throws -> Bool {
      let (token, logProbability) = try sampler.choose(
        logits, position: prompts[prompt].count + added[prompt], random: &streams[prompt],
        wantsLogProbability: options.wantsLogProbabilities)
      added[prompt] += 1
      last[prompt] = token
      let finish: FinishReason? =
        if options.endTokens.contains(token) {
          .endToken
        } else if added[prompt] == options.maximumTokens {
          .maxTokens
        } else if prompts[prompt].count + added[prompt] == shape.maximumLength {
          .maximumLength
        } else {
          nil
        }
      try onToken(GeneratedToken(prompt: prompt, token: token, logProbability: logProbability, finish: finish))
      return finish == nil
    }

    var live: [Int] = []
    for (number, prompt) in prompts.enumerated() {
      let logits = try pass.prefill(prompt, sequence: number, cancellation: monitor.cancellation) {
        work.read($0, ofPrompt: number)
      }
      if try choose(number, logits) { live.append(number) }
    }
    while !live.isEmpty {
      try monitor.checkCancelled()
      var next: [Int] = []
      try pass.step(live.map { ($0, last[$0]) }, cancellation: monitor.cancellation) { place, logits in
        if try choose(live[place], logits) { next.append(live[place]) }
      }
      live = next
      work.finishedStep()
    }
  }
}

/// How far a generation is, as its monitor hears it.
private struct Work {
  private let prompts: [[Int32]]
  private let monitor: Monitor
  private let steps: Int
  private let all: Double
  private var readBefore = 0
  private var stepsDone = 1

  init(_ prompts: [[Int32]], _ options: GenerationOptions, _ monitor: Monitor) {
    self.prompts = prompts
    self.monitor = monitor
    steps = options.maximumTokens
    all = Double(prompts.reduce(0) { $0 + $1.count } + steps)
  }

  mutating func read(_ tokens: Int, ofPrompt number: Int) {
    monitor.report(
      Double(readBefore + tokens) / all,
      prompts.count == 1 ? "prompt, \(tokens) tokens" : "prompt \(number + 1) of \(prompts.count)")
    if tokens == prompts[number].count { readBefore += tokens }
  }

  mutating func finishedStep() {
    stepsDone += 1
    monitor.report(Double(readBefore + stepsDone) / all, "token \(stepsDone) of \(steps)")
  }
}
