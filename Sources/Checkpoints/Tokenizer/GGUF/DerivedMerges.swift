// Merges that follow from a SentencePiece vocabulary. SentencePiece merges any two neighbours that make a token, the
// best one first; as a list of merges, which is what `tokenizers` works with, that is every way to cut a token in two.

struct DerivedMerges {
  /// Left and right tokens by rank.
  private(set) var pairs: [(left: Int32, right: Int32)] = []

  /// No token has more bytes: each is cut at every place.
  static let tokenLimit = 1024

  /// - Parameters:
  ///   - vocabulary: has all ids from 0 on.
  ///   - scores: by id; the higher the better. Equal ones: longer parts first, then in the order of ids, as in
  ///     `generate_merges` of `transformers`.
  init(_ vocabulary: Vocabulary, scores: [Float]) throws(TokenizerFault) {
    struct Merge {
      var score: Float
      var leftLength: Int32
      var rightLength: Int32
      var merged: Int32
      var left: Int32
      var right: Int32
    }
    var merges: [Merge] = []
    for id in 0..<min(vocabulary.limit, scores.count) {
      let length = vocabulary.withToken(id) { $0?.count ?? 0 }
      guard length <= Self.tokenLimit else {
        throw .field("tokenizer.ggml.tokens[\(id)]", expected: "at most \(Self.tokenLimit) bytes")
      }
      vocabulary.withToken(id) { token in
        guard let token, !token.isEmpty else { return }
        let characters = token.count { $0 & 0xC0 != 0x80 }
        var before = 0
        for cut in 0..<token.count where token[cut] & 0xC0 != 0x80 {
          defer { before += 1 }
          guard cut > 0, let left = vocabulary.id(of: UnsafeRawBufferPointer(rebasing: token[..<cut])),
            let right = vocabulary.id(of: UnsafeRawBufferPointer(rebasing: token[cut...]))
          else { continue }
          merges.append(
            Merge(
              score: scores[id], leftLength: Int32(before), rightLength: Int32(characters - before),
              merged: Int32(id), left: left, right: right))
        }
      }
      guard merges.count <= VocabularyBuilder.limit else {
        throw .tooMany("merges", count: merges.count, limit: VocabularyBuilder.limit)
      }
    }
    merges.sort { a, b in
      if a.score != b.score { return a.score > b.score }
      if a.leftLength != b.leftLength { return a.leftLength > b.leftLength }
      if a.rightLength != b.rightLength { return a.rightLength > b.rightLength }
      return (a.merged, a.left, a.right) < (b.merged, b.left, b.right)
    }
    pairs = merges.map { ($0.left, $0.right) }
  }
}
