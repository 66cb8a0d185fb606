// Tokenised sequences of one length, with a digest that names them in results and provenance.

/// How sequences are cut from a text's tokens.
package enum Sampling: Sendable, Equatable {
  /// One after another from the start, without overlap; the tail that fills no sequence is left out.
  case contiguous
  /// Each from a random start, drawn with `seed`; they may overlap.
  case random(seed: UInt64)
}

/// Immutable token sequences.
package final class Dataset: Sendable {
  package let sequenceLength: Int
  package let sequences: Int
  /// `[sequences * sequenceLength]`.
  package let tokens: [Int32]
  /// The most tokens of a dataset: random sequences may be many more than their text holds.
  package static let maximumTokens = 1 << 28
  /// Over the sequence length and the tokens, as little-endian 32-bit integers.
  package let digest: String

  /// Cuts `text`, the tokens of a whole text, into sequences.
  /// - Parameters:
  ///   - sequences: how many; nil takes all that there are (contiguous), or as many as would be (random).
  ///   - vocabularySize: ids at or above it, and negative ones, are refused.
  /// - Throws: `WorkspaceError` if the text is too short, the dataset too large or a token outside the vocabulary.
  package init(
    text: [Int32], sequenceLength: Int, sequences: Int?, sampling: Sampling, vocabularySize: Int
  ) throws(WorkspaceError) {
    guard sequenceLength >= 2 else { throw .sequenceLengthInvalid(given: sequenceLength) }
    if let position = text.firstIndex(where: { $0 < 0 || $0 >= vocabularySize }) {
      throw .tokenOutOfRange(token: Int(text[position]), position: position, vocabularySize: vocabularySize)
    }
    let available = text.count / sequenceLength
    guard available >= 1 else { throw .datasetTooSmall(tokens: text.count, sequenceLength: sequenceLength) }
    let count = max(1, sequences ?? available)
    var tokens: [Int32] = []
    switch sampling {
    case .contiguous:
      guard count <= available else {
        throw .sequencesNotAvailable(asked: count, available: available, sequenceLength: sequenceLength)
      }
      tokens = Array(text.prefix(count * sequenceLength))
    case .random(let seed):
      guard count <= Self.maximumTokens / sequenceLength else {
        throw .datasetTooLarge(sequences: count, sequenceLength: sequenceLength, maximumTokens: Self.maximumTokens)
      }
      var generator = SplitMix64(seed: seed)
      for _ in 0..<count {
        let start = Int.random(in: 0...(text.count - sequenceLength), using: &generator)
        tokens += text[start..<start + sequenceLength]
      }
    }
    self.tokens = tokens
    self.sequenceLength = sequenceLength
    self.sequences = count
    digest = ([Int32(sequenceLength)] + tokens).map(\.littleEndian).withUnsafeBytes(sha256)
  }

  /// The tokens of sequences `range`.
  package func tokens(ofSequences range: Range<Int>) -> [Int32] {
    Array(tokens[range.lowerBound * sequenceLength..<range.upperBound * sequenceLength])
  }
}

/// A small generator with a 64-bit seed, the same on every machine. (Steele, Lea & Flood 2014, SplitMix)
package struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
