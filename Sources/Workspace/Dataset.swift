// Tokenised sequences with a digest that names them in results and provenance: windows of one text, or documents that
// share windows without seeing each other (Dataset+Documents.swift).

/// How sequences are cut from a text's tokens.
package enum Sampling: Sendable, Equatable {
  /// One after another from the start, without overlap; the tail that fills no sequence is left out.
  case contiguous
  /// Each from a random start, drawn with `seed`; they may overlap.
  case random(seed: UInt64)
}

/// Immutable token sequences. Each is a window of one or more segments; a segment's positions count from 0, and it sees
/// no other (`Batch(lengths: dataset.segments(ofSequence: i))`).
package final class Dataset: Sendable {
  /// Tokens of every sequence if they are uniform, else of the longest that may be.
  package let sequenceLength: Int
  package let sequences: Int
  /// The tokens of all sequences, one after another.
  package let tokens: [Int32]
  /// The prompts that completions are sampled from; empty for plain texts.
  package let examples: [Example]
  /// Over the sequence length and the tokens, as little-endian 32-bit integers; of documents also over everything else.
  package let digest: String
  /// Targets that count in a loss: for a text all tokens but the first of each sequence.
  package let validTokens: Int
  /// Nil: each sequence is one segment of `sequenceLength` tokens, of which all but the first are predicted.
  let layout: DocumentLayout?

  /// The most tokens of a dataset: random sequences may be many more than their text holds.
  package static let maximumTokens = 1 << 28

  /// Cuts `text`, the tokens of a whole text, into sequences.
  /// - Parameters:
  ///   - sequences: how many; nil takes all that there are (contiguous), or as many as would be (random).
  ///   - vocabularySize: ids at or above it, and negative ones, are refused.
  /// - Throws: `WorkspaceError` if the text is too short, the dataset too large or a token outside the vocabulary.
  package init(
    text: [Int32], sequenceLength: Int, sequences: Int?, sampling: Sampling, vocabularySize: Int
  ) throws(WorkspaceError) {
    guard sequenceLength >= 2 else { throw .sequenceLengthInvalid(given: sequenceLength) }
    try Self.check(text, vocabularySize: vocabularySize)
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
    examples = []
    layout = nil
    validTokens = count * (sequenceLength - 1)
    digest = ([Int32(sequenceLength)] + tokens).map(\.littleEndian).withUnsafeBytes(sha256)
  }

  /// A dataset of parts that the caller has checked.
  init(sequenceLength: Int, tokens: [Int32], layout: DocumentLayout, examples: [Example], digest: String) {
    self.sequenceLength = sequenceLength
    sequences = layout.starts.count - 1
    self.tokens = tokens
    self.examples = examples
    self.digest = digest
    self.layout = layout
    validTokens = layout.predicted.count { $0 }
  }

  /// - Throws: `WorkspaceError.tokenOutOfRange`.
  static func check(_ tokens: [Int32], vocabularySize: Int) throws(WorkspaceError) {
    guard let position = tokens.firstIndex(where: { $0 < 0 || $0 >= vocabularySize }) else { return }
    throw .tokenOutOfRange(token: Int(tokens[position]), position: position, vocabularySize: vocabularySize)
  }

  /// Whether each sequence is one segment of `sequenceLength` tokens, all but the first of them predicted.
  package var isUniform: Bool { layout == nil }

  /// - Throws: `WorkspaceError.datasetNotUniform` if it has documents.
  package func requireUniform() throws(WorkspaceError) {
    guard isUniform else { throw .datasetNotUniform(sequences: sequences, sequenceLength: sequenceLength) }
  }

  /// Where the tokens of sequence `i` are in `tokens`.
  package func range(ofSequence i: Int) -> Range<Int> {
    if let layout { return layout.starts[i]..<layout.starts[i + 1] }
    return i * sequenceLength..<(i + 1) * sequenceLength
  }

  /// Tokens of each segment of sequence `i`, at least one; together at most `sequenceLength`.
  package func segments(ofSequence i: Int) -> [Int] {
    guard let layout else { return [sequenceLength] }
    return Array(layout.lengths[layout.firstSegments[i]..<layout.firstSegments[i + 1]])
  }

  package func tokens(ofSequence i: Int) -> [Int32] { Array(tokens[range(ofSequence: i)]) }

  /// For each token of sequence `i` the next one of its segment if that counts in a loss, else -1.
  package func targets(ofSequence i: Int) -> [Int32] {
    let range = range(ofSequence: i)
    return range.map { place in
      let next = place + 1
      guard next < range.upperBound, layout?.predicted[next] ?? true else { return -1 }
      return tokens[next]
    }
  }

  /// How many of sequence `i`'s targets count.
  package func targetCount(ofSequence i: Int) -> Int {
    layout?.predicted[range(ofSequence: i)].count { $0 } ?? sequenceLength - 1
  }

  /// The tokens of sequences `range`.
  package func tokens(ofSequences range: Range<Int>) -> [Int32] {
    guard let first = range.first, let last = range.last else { return [] }
    return Array(tokens[self.range(ofSequence: first).lowerBound..<self.range(ofSequence: last).upperBound])
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
