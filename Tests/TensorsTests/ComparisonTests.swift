// The comparator that all numeric tests lean on: what it must let pass, and above all what it must not.

import Tensors
import TestSupport
import Testing

@Suite struct ComparisonTests {
  static let seed: UInt64 = 11
  static let shape = [3, 5, 7]
  static var values: [Float] {
    var random = Seeded(seed)
    return random.floats(shape.reduce(1, *))
  }
  static let tolerance = Tolerance(absolute: 1e-6, relative: 1e-5)
  static var expected: Numbers { Numbers(values, shape: shape) }

  @Test func equalTensorsAgree() {
    #expect(difference(Self.expected, Self.expected) == nil)
  }

  @Test func smallErrorsAgree() {
    let near = Self.values.map { $0 * (1 + 0.9e-5) }
    #expect(difference(Numbers(near, shape: Self.shape), Self.expected, Self.tolerance) == nil)
  }

  /// The tolerance is relative to the expected value, not added to it.
  @Test func relativeToleranceIsNoBlankCheque() {
    let doubled = Self.values.map { $0 * 2 }
    #expect(difference(Numbers(doubled, shape: Self.shape), Self.expected, Tolerance(relative: 0.5)) != nil)
    #expect(difference(Numbers([2.0]), Numbers([1.0]), Tolerance(relative: 0.99)) != nil)
    #expect(difference(Numbers([2.0]), Numbers([1.0]), Tolerance(relative: 1)) == nil)
    #expect(difference(Numbers([0.1]), Numbers([0.0]), Tolerance(relative: 10)) != nil)
  }

  @Test(arguments: [0, 52, 104])
  func onePerturbedValueIsFound(index: Int) throws {
    var copy = Self.values
    copy[index] += max(abs(copy[index]) * 3e-5, 3e-6)
    let found = try #require(difference(Numbers(copy, shape: Self.shape), Self.expected, Self.tolerance))
    #expect(found.contains("1 of 105 values differ, worst at [\(index / 35), \(index / 7 % 5), \(index % 7)]"), "\(found)")
  }

  @Test func theWorstIsReported() throws {
    var copy = Self.values
    copy[3] += 0.5
    copy[4] += 5
    copy[5] += 0.5
    let found = try #require(difference(Numbers(copy, shape: Self.shape), Self.expected, Self.tolerance))
    #expect(found.hasPrefix("3 of 105 values differ, worst at [0, 0, 4]"))
  }

  @Test func truncatedCopyIsFound() {
    let short = Array(Self.values.dropLast())
    #expect(difference(Numbers(short, shape: Self.shape), Self.expected, Self.tolerance) != nil)
    #expect(difference(Numbers(short), Self.expected, Self.tolerance) != nil)
    #expect(difference(Numbers([Float](), shape: Self.shape), Self.expected, Self.tolerance) != nil)
  }

  @Test func shuffledCopyIsFound() {
    var random = Seeded(Self.seed)
    let shuffled = Self.values.shuffled(using: &random)
    #expect(difference(Numbers(shuffled, shape: Self.shape), Self.expected, Self.tolerance) != nil)
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity])
  func nonFiniteCopyIsFound(value: Float) {
    var copy = Self.values
    copy[17] = value
    let wild = Numbers(copy, shape: Self.shape)
    for tolerance in [Self.tolerance, Tolerance(absolute: 1e300), Tolerance(relative: .infinity)] {
      #expect(difference(wild, Self.expected, tolerance)?.contains("worst at [0, 2, 3]") == true)
      #expect(difference(Self.expected, wild, tolerance) != nil)
    }
  }

  @Test func nanAgreesWithNothing() {
    #expect(difference(Numbers([Double.nan]), Numbers([Double.nan]), Tolerance(absolute: 1)) != nil)
    #expect(difference(Numbers([Double.infinity]), Numbers([Double.infinity])) == nil)
    #expect(difference(Numbers([Double.infinity]), Numbers([-Double.infinity]), Tolerance(absolute: 1)) != nil)
  }

  @Test func nanIsWorseThanAnyNumber() throws {
    var copy = Self.values
    copy[0] = 1e30
    copy[1] = .nan
    copy[2] = 1e30
    let found = try #require(difference(Numbers(copy, shape: Self.shape), Self.expected, Self.tolerance))
    #expect(found.contains("worst at [0, 0, 1]"))
  }

  @Test func otherTypeOrShapeIsFoundFirst() {
    let values = Self.values.map(Double.init)
    #expect(difference(Numbers(values, dtype: .f64, shape: Self.shape), Self.expected) == "type f64, expected f32")
    #expect(
      difference(Numbers(Self.values, shape: [5, 3, 7]), Self.expected) == "shape [5, 3, 7], expected [3, 5, 7]")
    #expect(difference(Numbers(Self.values), Self.expected) == "shape [105], expected [3, 5, 7]")
  }
}

@Suite struct SeededTests {
  @Test func sameSeedSameNumbers() {
    var a = Seeded(5), b = Seeded(5), c = Seeded(6)
    let drawn = (0..<100).map { _ in a.next() }
    #expect(drawn == (0..<100).map { _ in b.next() })
    #expect(drawn != (0..<100).map { _ in c.next() })
    #expect(a.description == "seed 5")
  }

  @Test func normalsHaveUnitDeviation() {
    var random = Seeded(7)
    let values = (0..<4000).map { _ in random.normal() }
    let mean = values.reduce(0, +) / 4000
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 4000
    #expect(abs(mean) < 0.06 && abs(variance - 1) < 0.1, "\(random)")
  }
}
