// Decoding over cached keys and values, against transformers and against itself: every family, pruned weights, several
// sequences together, and everything that ends a text.

import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

/// What `generate` gave for each prompt.
struct Generated: Equatable {
  var tokens: [[Int32]]
  var logProbabilities: [[TokenLogProbability]]
  var finishes: [FinishReason?]
}

func generate(
  _ model: TestModel, weights: (any WeightSource)? = nil, _ prompts: [[Int32]], _ options: GenerationOptions,
  compute: Compute, monitor: Monitor = Monitor(), onToken: (GeneratedToken) -> Void = { _ in }
) throws -> Generated {
  var result = Generated(
    tokens: prompts.map { _ in [] }, logProbabilities: prompts.map { _ in [] }, finishes: prompts.map { _ in nil })
  try model.transformer.generate(
    prompts, weights: weights ?? model.history.current, options: options, compute: compute, monitor: monitor
  ) { token in
    #expect(result.finishes[token.prompt] == nil, "nothing follows the last token")
    result.tokens[token.prompt].append(token.token)
    if let logProbability = token.logProbability { result.logProbabilities[token.prompt].append(logProbability) }
    result.finishes[token.prompt] = token.finish
    onToken(token)
  }
  return result
}

/// Logits after every prefix of `tokens` that has more than `prompt` tokens, and after the prompt itself: the prompt at
/// once, the rest one by one over the cache. `[tokens.count - prompt + 1, V]`
func cachedLogits(
  _ model: TestModel, weights: (any WeightSource)? = nil, _ tokens: [Int32], prompt: Int, compute: Compute
) throws -> [Float] {
  let V = model.transformer.shape.vocabularySize
  let pass = DecodingPass(
    model.transformer, weights: weights ?? model.history.current, capacities: [tokens.count], compute: compute)
  let first = try pass.prefill(Array(tokens[..<prompt]), sequence: 0, cancellation: Cancellation())
  var logits = Array(UnsafeBufferPointer(start: first, count: V))
  for token in tokens[prompt...] {
    try pass.step([(0, token)], cancellation: Cancellation()) { _, row in
      logits += UnsafeBufferPointer(start: row, count: V)
    }
  }
  return logits
}

/// Logits after the same prefixes, each computed from its first token without a cache.
func uncachedLogits(
  _ model: TestModel, weights: (any WeightSource)? = nil, _ tokens: [Int32], prompt: Int, compute: Compute
) throws -> [Float] {
  try (prompt...tokens.count).flatMap { count in
    try cachedLogits(model, weights: weights, Array(tokens[..<count]), prompt: count, compute: compute)
  }
}

/// How far logits are apart: the largest difference by the largest of the expected ones.
func relativeError(_ actual: [Float], _ expected: [Float]) -> Double {
  guard actual.count == expected.count else { return .infinity }
  let largest = expected.reduce(0) { max($0, abs($1)) }
  return Double(zip(actual, expected).reduce(0) { max($0, abs($1.0 - $1.1)) } / largest)
}

@Suite struct GenerationTests {
  private static let compute = Result { try Compute(pool: ComputePool(threads: 2)) }

  /// The golden's prompts (8 tokens each) and the 16 tokens that greedy decoding of transformers appends.
  private static func greedy(_ family: Family) throws -> (prompts: [[Int32]], appended: [[Int32]]) {
    let greedy = try family.golden.numbers("greedy").values.map { Int32($0) }
    let rows = [Array(greedy[..<24]), Array(greedy[24...])]
    return (rows.map { Array($0[..<8]) }, rows.map { Array($0[8...]) })
  }

  @Test(arguments: Family.names)
  func greedyTokensAreThoseOfTransformers(name: String) throws {
    let family = try Family(name), (prompts, appended) = try Self.greedy(family)
    let result = try generate(
      family.model, prompts, GenerationOptions(maximumTokens: 16), compute: Self.compute.get())
    #expect(result.tokens == appended)
    #expect(result.finishes == [.maxTokens, .maxTokens])
    // A test of the test: other prompts, other tokens.
    let other = try generate(
      family.model, [prompts[1], prompts[0]], GenerationOptions(maximumTokens: 16), compute: Self.compute.get())
    #expect(other.tokens != appended)
  }

  /// Windows, learned positions, norms of queries and keys: position after position over the cache.
  @Test(arguments: Family.names, [1, 4])
  func cachedLogitsAreThoseOfTransformers(name: String, prompt: Int) throws {
    let family = try Family(name), compute = try Self.compute.get()
    let V = family.model.transformer.shape.vocabularySize
    let golden = try family.golden.numbers("logits").values.map { Float($0) }
    for sequence in 0..<2 {
      let tokens = Array(family.tokens[sequence * 19..<(sequence + 1) * 19])
      let expected = Array(golden[(sequence * 19 + prompt - 1) * V..<(sequence + 1) * 19 * V])
      let cached = try cachedLogits(family.model, tokens, prompt: prompt, compute: compute)
      #expect(relativeError(cached, expected) < 2e-5)
      let uncached = try uncachedLogits(family.model, tokens, prompt: prompt, compute: compute)
      #expect(relativeError(cached, uncached) < 2e-5)
      // A test of the test: another first token shows to the end.
      var other = tokens
      other[0] = (tokens[0] + 1) % Int32(V)
      #expect(relativeError(try cachedLogits(family.model, other, prompt: prompt, compute: compute), expected) > 1e-4)
    }
  }

  /// A prompt that comes in parts is the same sequence.
  @Test(arguments: Family.names, [1, 7, 18])
  func promptsMayComeInParts(name: String, cut: Int) throws {
    let family = try Family(name), compute = try Self.compute.get()
    let V = family.model.transformer.shape.vocabularySize, tokens = Array(family.tokens[..<19])
    let pass = DecodingPass(
      family.model.transformer, weights: family.model.history.current, capacities: [3, 19], compute: compute)
    _ = try pass.prefill([1, 2, 3], sequence: 0, cancellation: Cancellation())
    _ = try pass.prefill(Array(tokens[..<cut]), sequence: 1, cancellation: Cancellation())
    let last = try pass.prefill(Array(tokens[cut...]), sequence: 1, cancellation: Cancellation())
    let whole = try cachedLogits(family.model, tokens, prompt: 19, compute: compute)
    #expect(relativeError(Array(UnsafeBufferPointer(start: last, count: V)), whole) < 2e-5)
  }

  /// To the bit: log-probabilities say so. Twenty are more than go through the model at once.
  @Test(arguments: Family.names, [3, 20])
  func togetherAsOneByOne(name: String, count: Int) throws {
    let family = try Family(name), compute = try Self.compute.get()
    let prompts = (0..<count).map { Array(family.tokens[$0..<$0 + 1 + $0 * 5 % 13]) }
    let options = GenerationOptions(maximumTokens: 9, wantsLogProbabilities: true)
    let together = try generate(family.model, prompts, options, compute: compute)
    for (number, prompt) in prompts.enumerated() {
      let alone = try generate(family.model, [prompt], options, compute: compute)
      #expect(alone.tokens == [together.tokens[number]])
      #expect(alone.logProbabilities == [together.logProbabilities[number]])
    }
  }

  /// The first prompt draws the same tokens whoever comes after it; equal prompts draw different ones.
  @Test func samplingTogether() throws {
    let family = try Family("llama3"), compute = try Self.compute.get()
    let prompt = Array(family.tokens[..<5])
    var options = GenerationOptions(
      maximumTokens: 12, sampling: SamplingOptions(temperature: 1), seed: 5, wantsLogProbabilities: true)
    let alone = try generate(family.model, [prompt], options, compute: compute)
    let together = try generate(family.model, [prompt, prompt, [3]], options, compute: compute)
    #expect(together.tokens[0] == alone.tokens[0])
    #expect(together.logProbabilities[0] == alone.logProbabilities[0])
    #expect(together.tokens[1] != alone.tokens[0])
    #expect(try generate(family.model, [prompt], options, compute: compute) == alone, "a seed reproduces")
    options.seed = 6
    #expect(try generate(family.model, [prompt], options, compute: compute).tokens != alone.tokens)
  }

  /// The log-probability is that of the golden's logits; greedy draws with certainty.
  @Test func logProbabilitiesAreTheModels() throws {
    let family = try Family("qwen3"), (prompts, appended) = try Self.greedy(family)
    let result = try generate(
      family.model, prompts, GenerationOptions(maximumTokens: 16, wantsLogProbabilities: true),
      compute: Self.compute.get())
    for (number, prompt) in prompts.enumerated() {
      let logits = try uncachedLogits(
        family.model, prompt + appended[number].dropLast(), prompt: 8, compute: Self.compute.get())
      let V = family.model.transformer.shape.vocabularySize
      for (step, token) in appended[number].enumerated() {
        let row = logits[step * V..<(step + 1) * V].map(Double.init)
        let expected = row[Int(token)] - logOfSumOfExponentials(row)
        let actual = result.logProbabilities[number][step]
        #expect(abs(actual.model - expected) < 1e-4)
        #expect(actual.sampling == 0)
      }
    }
  }

  /// Masked weights count as zeros, in few rows and in many.
  @Test(arguments: Family.names)
  func prunedWeights(name: String) throws {
    let family = try Family(name), compute = try Self.compute.get(), model = family.model
    var generator = Seeded(11)
    var masked: any WeightSource = model.history.current, zeroed: any WeightSource = model.history.current
    for input in (0..<model.transformer.shape.layers).flatMap({ model.transformer.linearInputs(layer: $0) }) {
      for tensor in input.tensors {
        let dense = model.history.current.tensor(tensor)
        let bytes = (0..<dense.rows * MaskBits.rowBytes(columns: dense.columns)).map { _ in
          UInt8(truncatingIfNeeded: generator.next() >> 32)
        }
        let mask = try #require(MaskBits(rows: dense.rows, columns: dense.columns, bytes: bytes))
        let pruned = MaskedTensor(weights: dense.weights, mask: mask)
        var values = [Float](repeating: 0, count: dense.rows * dense.columns)
        for row in 0..<dense.rows { dense.readRow(row, into: &values[row * dense.columns]) }
        for place in values.indices where !mask.isKept(row: place / dense.columns, column: place % dense.columns) {
          values[place] = 0
        }
        let view = try #require(TensorView(guarding: values, shape: [dense.rows, dense.columns]))
        masked = Replacing(base: masked, name: tensor, replacement: pruned)
        zeroed = Replacing(base: zeroed, name: tensor, replacement: MaskedTensor(weights: view))
      }
    }
    let tokens = Array(family.tokens[..<19])
    let result = try cachedLogits(model, weights: masked, tokens, prompt: 6, compute: compute)
    let expected = try uncachedLogits(model, weights: zeroed, tokens, prompt: 6, compute: compute)
    #expect(relativeError(result, expected) < 2e-5)
    #expect(relativeError(try cachedLogits(model, tokens, prompt: 6, compute: compute), expected) > 1e-3)
  }

  // MARK: Ends

  @Test func endTokensEndTheirSequenceOnly() throws {
    let family = try Family("gpt2"), (prompts, appended) = try Self.greedy(family)
    let before = appended[0][..<2] + appended[1]
    let end = try #require(appended[0].dropFirst(2).first { !before.contains($0) })
    let cut = appended.map { tokens in tokens.firstIndex(of: end).map { Array(tokens[...$0]) } ?? tokens }
    #expect(cut[0].count < 16 && cut[1].count == 16)
    let result = try generate(
      family.model, prompts, GenerationOptions(maximumTokens: 16, endTokens: [9999, end]),
      compute: Self.compute.get())
    #expect(result.tokens == cut)
    #expect(result.finishes == [.endToken, .maxTokens])
  }

  @Test(arguments: Family.names)
  func theModelsLengthEndsASequence(name: String) throws {
    let family = try Family(name), maximum = family.model.transformer.shape.maximumLength
    let prompts = [[Int32](repeating: 3, count: maximum - 1), [Int32](repeating: 4, count: maximum - 3), [5]]
    let result = try generate(
      family.model, prompts, GenerationOptions(maximumTokens: 3), compute: Self.compute.get())
    #expect(result.tokens.map(\.count) == [1, 3, 3])
    #expect(result.finishes == [.maximumLength, .maxTokens, .maxTokens])
  }

  @Test func cancellationEndsWithinAToken() throws {
    let family = try Family("opt")
    let cancellation = Cancellation()
    var count = 0
    #expect(throws: Cancelled.self) {
      _ = try generate(
        family.model, [[1, 2]], GenerationOptions(maximumTokens: 30), compute: Self.compute.get(),
        monitor: Monitor(cancellation: cancellation)
      ) { _ in
        count += 1
        if count == 4 { cancellation.cancel() }
      }
    }
    #expect(count == 4)
  }

  @Test func progressRises() throws {
    let family = try Family("mistral")
    let heard = Heard()
    _ = try generate(
      family.model, [[1, 2], [3]], GenerationOptions(maximumTokens: 7), compute: Self.compute.get(),
      monitor: Monitor { fraction, _ in heard.fractions.append(fraction) })
    #expect(heard.fractions.count == 8)
    #expect(heard.fractions == heard.fractions.sorted())
    #expect(heard.fractions.last == 1)
  }

  private final class Heard: @unchecked Sendable {  // one thread
    var fractions: [Double] = []
  }

  // MARK: What is refused

  @Test func promptsAreChecked() throws {
    let family = try Family("llama3"), maximum = family.model.transformer.shape.maximumLength
    func refusal(_ prompts: [[Int32]]) -> (any Error)? {
      do {
        _ = try generate(family.model, prompts, GenerationOptions(maximumTokens: 1), compute: Self.compute.get())
        return nil
      } catch {
        return error
      }
    }
    #expect(refusal([]) == nil)
    #expect(refusal([[1], []]) as? GenerationError == .promptEmpty(index: 1))
    #expect(
      refusal([[Int32](repeating: 1, count: maximum)]) as? GenerationError
        == .promptTooLong(index: 0, tokens: maximum, maximum: maximum))
    let size = family.model.transformer.shape.vocabularySize
    #expect(
      refusal([[1, Int32(size)]]) as? TransformerError
        == .tokenOutOfRange(token: size, position: 1, vocabularySize: size))
    #expect(
      refusal([[-1]]) as? TransformerError == .tokenOutOfRange(token: -1, position: 0, vocabularySize: size))
    for error in [
      GenerationError.promptEmpty(index: 0), .promptTooLong(index: 0, tokens: 1, maximum: 1),
      .nonFiniteLogits(position: 1, token: 2),
    ] {
      #expect(error.message.hasSuffix(".") && !error.kind.isEmpty)
    }
  }

  @Test func weightsThatAreNaNAreAnError() throws {
    let family = try Family("qwen2"), name = "model.norm.weight"
    let size = family.model.transformer.shape.hiddenSize
    let view = try #require(TensorView(guarding: [Float](repeating: .nan, count: size), shape: [size]))
    let weights = Replacing(
      base: family.model.history.current, name: name, replacement: MaskedTensor(weights: view))
    #expect(throws: GenerationError.nonFiniteLogits(position: 3, token: 0)) {
      _ = try generate(
        family.model, weights: weights, [[1, 2, 3]], GenerationOptions(maximumTokens: 4),
        compute: Self.compute.get())
    }
  }
}
