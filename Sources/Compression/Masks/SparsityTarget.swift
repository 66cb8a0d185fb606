// How much to prune: a fraction, or N of every M.

/// What fraction of weights a mask is to prune.
package enum SparsityTarget: Sendable, Equatable {
  /// The floor(n * ratio) smallest of each group of n scores; 0...1.
  case ratio(Double)
  /// The `prune` smallest of every `of` consecutive inputs of a row: "2:4" is prune 2 of 4.
  case pattern(prune: Int, of: Int)

  /// - Throws: `CompressionError.sparsityInvalid` unless 0 <= ratio <= 1.
  package init(ratio: Double) throws(CompressionError) {
    guard (0...1).contains(ratio) else { throw .sparsityInvalid(given: "\(ratio)") }
    self = .ratio(ratio)
  }

  /// - Throws: `CompressionError.patternInvalid` unless the text is N:M with 1 <= N < M <= 256.
  package init(pattern text: String) throws(CompressionError) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let prune = Int(parts[0]), let of = Int(parts[1]), prune >= 1, prune < of, of <= 256,
      text == "\(prune):\(of)"  // Int also takes "+2" and "02"
    else { throw .patternInvalid(given: text) }
    self = .pattern(prune: prune, of: of)
  }

  /// How many of `count` scores a ratio prunes; the reference rounds down in double.
  package static func pruned(_ ratio: Double, of count: Int) -> Int { min(count, Int(Double(count) * ratio)) }
}

extension SparsityTarget: CustomStringConvertible {
  /// `0.5` or `2:4`.
  package var description: String {
    switch self {
    case .ratio(let ratio): "\(ratio)"
    case .pattern(let prune, let of): "\(prune):\(of)"
    }
  }
}
