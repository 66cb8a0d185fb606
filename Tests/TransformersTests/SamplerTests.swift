// Choosing tokens: the distribution that is drawn from against one worked out in double, and its edges.

import Glibc
import Tensors
import TestSupport
import Testing
import Transformers

func logOfSumOfExponentials(_ values: [Double]) -> Double {
  let largest = values.max() ?? 0
  return largest + log(values.reduce(0) { $0 + exp($1 - largest) })
}

@Suite struct SamplerTests {
  private static let logits: [Float] = [0.5, 2, -1, 2, 1.25, 0, -4, 1.9, 0.5, -0.25, 1, 0.75]

  /// The distribution that options stand for, the slow way: sort, cut, divide. (Holtzman et al. 2020 for topP)
  private static func expected(_ logits: [Float], _ options: SamplingOptions) -> [Double] {
    let scaled = logits.map { Double($0) / options.temperature }
    let norm = logOfSumOfExponentials(scaled)
    var order = scaled.indices.map { ($0, exp(scaled[$0] - norm)) }
    order.sort { $0.1 > $1.1 || ($0.1 == $1.1 && $0.0 < $1.0) }
    if let topK = options.topK { order = Array(order.prefix(topK)) }
    if let topP = options.topP, topP < 1 {
      let total = order.reduce(0) { $0 + $1.1 }
      var sum = 0.0, count = 0
      for (_, probability) in order where count == 0 || sum < topP * total {
        sum += probability
        count += 1
      }
      order = Array(order.prefix(count))
    }
    let total = order.reduce(0) { $0 + $1.1 }
    var result = [Double](repeating: 0, count: logits.count)
    for (token, probability) in order { result[token] = probability / total }
    return result
  }

  private static func draws(
    _ logits: [Float], _ options: SamplingOptions, count: Int, seed: UInt64
  ) throws -> [Int] {
    let sampler = Sampler(options, vocabularySize: logits.count)
    var random = RandomStream(seed: seed, stream: 0)
    return try (0..<count).map { _ in
      Int(try sampler.choose(logits, position: 0, random: &random).token)
    }
  }

  /// Pearson's statistic for the right distribution has the mean k and the variance 2 k, k degrees of freedom; this is
  /// how many deviations it is above the mean.
  private static func chiSquare(_ draws: [Int], _ expected: [Double]) -> Double {
    var counts = [Double](repeating: 0, count: expected.count)
    for token in draws { counts[token] += 1 }
    var sum = 0.0, cells = 0
    for (count, probability) in zip(counts, expected) {
      let mean = probability * Double(draws.count)
      if mean == 0 {
        if count > 0 { return .infinity }
        continue
      }
      sum += (count - mean) * (count - mean) / mean
      cells += 1
    }
    let freedom = Double(max(1, cells - 1))
    return (sum - freedom) / (2 * freedom).squareRoot()
  }

  static let options: [SamplingOptions] = [
    SamplingOptions(temperature: 1), SamplingOptions(temperature: 0.4), SamplingOptions(temperature: 3),
    SamplingOptions(temperature: 1, topK: 5), SamplingOptions(temperature: 1, topP: 0.7),
    SamplingOptions(temperature: 0.7, topK: 8, topP: 0.9), SamplingOptions(temperature: 2, topK: 3, topP: 0.99),
    SamplingOptions(temperature: 1, topP: 0.999_999), SamplingOptions(temperature: 1, topK: 12, topP: 1),
    SamplingOptions(temperature: 1e6, topP: 0.5),
  ]

  @Test(arguments: options)
  func drawsFollowTheDistribution(options: SamplingOptions) throws {
    let expected = Self.expected(Self.logits, options)
    let draws = try Self.draws(Self.logits, options, count: 40_000, seed: 42)
    #expect(Self.chiSquare(draws, expected) < 4)
    // A test of the test: a distribution with the probabilities of two tokens exchanged.
    if expected.filter({ $0 > 0 }).count > 2, options.temperature < 1e3 {
      var wrong = expected
      let most = expected.indices.max { expected[$0] < expected[$1] } ?? 0
      let least = expected.indices.filter { expected[$0] > 0 }.min { expected[$0] < expected[$1] } ?? 0
      wrong.swapAt(most, least)
      #expect(Self.chiSquare(draws, wrong) > 8)
    }
  }

  /// Both log-probabilities, of a vocabulary that is large enough to leave out most of it.
  @Test(arguments: options)
  func logProbabilities(options: SamplingOptions) throws {
    var generator = Seeded(3)
    let logits = generator.floats(5000, scale: 3)
    let expected = Self.expected(logits, options), model = Self.expected(logits, SamplingOptions(temperature: 1))
    let sampler = Sampler(options, vocabularySize: logits.count)
    var random = RandomStream(seed: 1, stream: 2)
    for _ in 0..<20 {
      let (token, given) = try sampler.choose(logits, position: 0, random: &random, wantsLogProbability: true)
      let logProbability = try #require(given)
      #expect(abs(logProbability.sampling - log(expected[Int(token)])) < 1e-4)
      #expect(abs(logProbability.model - log(model[Int(token)])) < 1e-4)
    }
  }

  @Test func greedyTakesTheFirstOfTheLargest() throws {
    #expect(try Self.draws(Self.logits, SamplingOptions(), count: 3, seed: 0) == [1, 1, 1])
    #expect(try Self.draws([-3], SamplingOptions(), count: 1, seed: 0) == [0])
    #expect(try Self.draws([0, -0.0], SamplingOptions(), count: 1, seed: 0) == [0])
  }

  /// One token is left: the first of the two most probable.
  @Test(arguments: [
    SamplingOptions(temperature: 1, topK: 1), SamplingOptions(temperature: 1, topP: 1e-9),
    SamplingOptions(temperature: 1, topP: 0), SamplingOptions(temperature: 50, topK: 1, topP: 0.1),
  ])
  func onlyOneIsLeft(options: SamplingOptions) throws {
    #expect(Set(try Self.draws(Self.logits, options, count: 200, seed: 9)) == [1])
  }

  @Test func temperaturesAtTheirEnds() throws {
    // Nearly 0: the two largest, which are equal, and no other.
    for temperature in [1e-300, 1e-6, 1e-3] {
      let draws = try Self.draws(Self.logits, SamplingOptions(temperature: temperature), count: 200, seed: 1)
      #expect(Set(draws) == [1, 3])
    }
    // Huge: all alike.
    for temperature in [1e6, 1e300] {
      let draws = try Self.draws(Self.logits, SamplingOptions(temperature: temperature), count: 12_000, seed: 1)
      #expect(Self.chiSquare(draws, [Double](repeating: 1.0 / 12, count: 12)) < 4)
    }
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity])
  func logitsMustBeFinite(value: Float) throws {
    var logits = Self.logits
    logits[7] = value
    for options in [SamplingOptions(), SamplingOptions(temperature: 1), SamplingOptions(temperature: 1, topK: 2)] {
      #expect(throws: GenerationError.nonFiniteLogits(position: 0, token: 7)) {
        try Self.draws(logits, options, count: 1, seed: 0)
      }
    }
    // As far apart as floats can be, but finite.
    #expect(try Self.draws([-3e38, 3e38], SamplingOptions(temperature: 1), count: 20, seed: 0).allSatisfy { $0 == 1 })
  }

  @Test func streamsAreReproducibleAndApart() {
    func numbers(_ seed: UInt64, _ stream: UInt64) -> [UInt64] {
      var random = RandomStream(seed: seed, stream: stream)
      return (0..<100).map { _ in random.next() }
    }
    let all = (0..<8).flatMap { seed in (0..<8).map { numbers(seed, $0) } }
    #expect(numbers(3, 4) == all[3 * 8 + 4])
    #expect(Set(all.flatMap { $0 }).count == 64 * 100, "no number comes twice")
    var random = RandomStream(seed: 1, stream: 1)
    let values = (0..<100_000).map { _ in random.uniform() }
    #expect(values.allSatisfy { $0 >= 0 && $0 < 1 })
    // The mean of n uniform numbers has the deviation 1 / sqrt(12 n), here 0.0009.
    #expect(abs(values.reduce(0, +) / 100_000 - 0.5) < 0.004)
  }
}
