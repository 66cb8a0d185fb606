// The random numbers of sampling: a generator of our own, so that a seed means the same on every machine and for ever.

/// xoshiro256** (Blackman & Vigna 2018), its state filled by splitmix64 (Steele, Lea & Flood 2014) from a seed and the
/// number of a stream: streams of one seed have nothing to do with each other.
package struct RandomStream: Sendable {
  private var s0, s1, s2, s3: UInt64

  package init(seed: UInt64, stream: UInt64) {
    var filler = seed
    filler = Self.splitmix(&filler) ^ stream
    // One more round parts neighbouring streams before their states are filled.
    filler = Self.splitmix(&filler)
    s0 = Self.splitmix(&filler)
    s1 = Self.splitmix(&filler)
    s2 = Self.splitmix(&filler)
    s3 = Self.splitmix(&filler)
  }

  private static func splitmix(_ state: inout UInt64) -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  private static func rotated(_ x: UInt64, by bits: UInt64) -> UInt64 { (x << bits) | (x >> (64 - bits)) }

  package mutating func next() -> UInt64 {
    let result = Self.rotated(s1 &* 5, by: 7) &* 9
    let t = s1 << 17
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= t
    s3 = Self.rotated(s3, by: 45)
    return result
  }

  /// Uniform in 0..<1, 53 bits.
  package mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }
}
