// One call of `Tokenizer.encode`: added tokens are cut out, the rest is normalised, cut into words and encoded.

import Tensors

/// Matchers and a cache of words, for one thread.
struct EncodingPass {
  private let definition: TokenizerDefinition
  private let normalizer: Normalizer
  private let preTokenizer: PreTokenizer
  private let monitor: Monitor
  private var cache = WordCache()
  private var words = 0

  init(_ definition: TokenizerDefinition, _ monitor: Monitor) throws(TokenizerFault) {
    self.definition = definition
    self.monitor = monitor
    normalizer = try Normalizer(definition.normalizer)
    preTokenizer = try PreTokenizer(definition.preTokenizer)
  }

  /// Appends the tokens of `text`.
  /// - Throws: `TokenizerFault`, `Cancelled`.
  mutating func encode(_ text: UnsafeRawBufferPointer, into ids: inout [Int32]) throws {
    for part in definition.added.parts(of: text) {
      switch part {
      case .token(let id): ids.append(id)
      case .text(let range):
        let piece = UnsafeRawBufferPointer(rebasing: text[range])
        try normalizeAndEncode(piece, isAtStart: range.lowerBound == 0, into: &ids)
      }
    }
  }

  private mutating func normalizeAndEncode(
    _ text: UnsafeRawBufferPointer, isAtStart: Bool, into ids: inout [Int32]
  ) throws {
    if normalizer.isEmpty { return try encodeNormalized(text, isAtStart: isAtStart, into: &ids) }
    var piece = TextPiece(bytes: Array(text), isAtStart: isAtStart)
    try normalizer.normalize(&piece)
    try piece.bytes.withUnsafeBytes { try encodeNormalized($0, isAtStart: piece.isAtStart, into: &ids) }
  }

  /// Cuts those added tokens out that are looked for in normalised text.
  private mutating func encodeNormalized(
    _ text: UnsafeRawBufferPointer, isAtStart: Bool, into ids: inout [Int32]
  ) throws {
    for part in definition.addedNormalized.parts(of: text) {
      switch part {
      case .token(let id): ids.append(id)
      case .text(let range):
        let piece = UnsafeRawBufferPointer(rebasing: text[range])
        try encodeWords(of: piece, isAtStart: isAtStart && range.lowerBound == 0, into: &ids)
      }
    }
  }

  private mutating func encodeWords(
    of text: UnsafeRawBufferPointer, isAtStart: Bool, into ids: inout [Int32]
  ) throws {
    let model = definition.model
    try preTokenizer.forEachWord(of: text, isAtStart: isAtStart) { word in
      try model.forEachPart(of: word) { part in
        words += 1
        if words % 4096 == 0 { try monitor.checkCancelled() }
        try cache.append(part, to: &ids) { part, ids in
          try model.encode(part, into: &ids, check: monitor.checkCancelled)
        }
      }
    }
  }
}
