// Random numbers for tests: the same for the same seed, on every machine. A failure names the seed.

import Glibc

/// xorshift64* (Vigna 2016), independent of the generator of the product.
package struct Seeded: RandomNumberGenerator, CustomStringConvertible, Sendable {
  package let seed: UInt64
  private var state: UInt64

  package init(_ seed: UInt64) {
    self.seed = seed
    state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
    for _ in 0..<8 { _ = next() }
  }

  package var description: String { "seed \(seed)" }

  package mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_f491_4f6c_dd1d
  }

  /// Uniform in 0..<1, 53 bits.
  package mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// Uniform in `range`.
  package mutating func int(in range: ClosedRange<Int>) -> Int {
    range.lowerBound + Int(next() % UInt64(range.count))
  }

  /// Standard normal (Box & Muller 1958).
  package mutating func normal() -> Double {
    (-2 * log(1 - uniform())).squareRoot() * cos(2 * .pi * uniform())
  }

  /// Normal values of deviation `scale`, as fp32.
  package mutating func floats(_ count: Int, scale: Double = 1) -> [Float] {
    (0..<count).map { _ in Float(scale * normal()) }
  }

  /// Values of few distinct levels, with both zeros among them: many ties.
  package mutating func tied(_ count: Int, levels: Int) -> [Float] {
    (0..<count).map { _ in
      let level = int(in: 0...levels - 1) - levels / 2
      return level == 0 && next() % 2 == 0 ? -0.0 : Float(level) / 4
    }
  }
}
