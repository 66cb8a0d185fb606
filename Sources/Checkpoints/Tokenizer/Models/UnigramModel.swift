// The unigram language model (Kudo 2018, "Subword Regularization"): of all ways to write a word as tokens the one whose
// scores have the largest sum. Viterbi's algorithm from front to back, as in SentencePiece's `EncodeOptimized` and in
// Hugging Face's `tokenizers`: at equal sums the first found stays, and sums are added up in that order, in double.

struct UnigramModel: Sendable {
  /// Ids by token.
  private var tokens = ByteTrie()
  /// By id.
  private let scores: [Double]
  private let unknown: Int32?
  private let unknownScore: Double
  private let byteTokens: ByteTokens?

  /// An unknown character costs this much more than the worst token.
  private static let unknownPenalty = 10.0

  /// - Parameters:
  ///   - vocabulary: tokens with ids from 0 to `scores.count` - 1.
  ///   - scores: finite.
  init(vocabulary: Vocabulary, scores: [Double], unknown: Int32?, byteFallback: Bool) {
    var tokens = ByteTrie()
    for id in scores.indices {
      vocabulary.withToken(id) { token in if let token { tokens.insert(token, Int32(id)) } }
    }
    self.tokens = tokens
    self.scores = scores
    self.unknown = unknown
    unknownScore = (scores.min() ?? 0) - Self.unknownPenalty
    byteTokens =
      byteFallback ? ByteTokens { name in Array(name.utf8).withUnsafeBytes { tokens.value(of: $0) } } : nil
  }

  /// The best way to write the text up to a place.
  private struct Path {
    var score = 0.0
    /// Where its last token starts; -1 if there is no way yet.
    var start: Int32 = -1
    var token: Int32 = -1
  }

  /// Appends the tokens of `word` to `ids`.
  /// - Throws: `TokenizerFault.unknownCharacter`; what `check` throws, which is called now and then.
  func encode(_ word: UnsafeRawBufferPointer, into ids: inout [Int32], check: () throws -> Void) throws {
    var paths = [Path](repeating: Path(), count: word.count + 1)
    var place = 0
    var steps = 0
    while place < word.count {
      steps += 1
      if steps % 4096 == 0 { try check() }
      let here = paths[place].score
      let next = place + UTF8Text.scalar(word, at: place).width
      var isKnown = false
      tokens.forEachPrefix(of: word, from: place) { end, token in
        let score = scores[Int(token)] + here
        if paths[end].start < 0 || score > paths[end].score {
          paths[end] = Path(score: score, start: Int32(place), token: token)
        }
        if end == next { isKnown = true }
      }
      if !isKnown {
        let score = unknownScore + here
        if paths[next].start < 0 || score > paths[next].score {
          guard let unknown else {
            let character = UnsafeRawBufferPointer(rebasing: word[place..<next])
            throw TokenizerFault.unknownCharacter(String(decoding: character, as: UTF8.self))
          }
          paths[next] = Path(score: score, start: Int32(place), token: unknown)
        }
      }
      place = next
    }
    append(paths, of: word, to: &ids)
  }

  /// The tokens of the best path. Unknown characters in a row are one piece, which may be a token after all.
  private func append(_ paths: [Path], of word: UnsafeRawBufferPointer, to ids: inout [Int32]) {
    var pieces: [(range: Range<Int>, token: Int32)] = []  // from the back
    var end = word.count
    while end > 0 {
      let path = paths[end]
      let start = Int(path.start)
      if path.token == unknown, let last = pieces.last, last.token == unknown {
        pieces[pieces.count - 1].range = start..<last.range.upperBound
      } else {
        pieces.append((start..<end, path.token))
      }
      end = start
    }
    for (range, token) in pieces.reversed() {
      let piece = UnsafeRawBufferPointer(rebasing: word[range])
      if token != unknown {
        ids.append(token)
      } else if let known = tokens.value(of: piece) {
        ids.append(known)
      } else if let byteTokens, byteTokens.append(piece, to: &ids) {
        continue
      } else {
        ids.append(token)
      }
    }
  }
}
